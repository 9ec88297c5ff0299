package switchboard.connect;

import com.github.shyiko.mysql.binlog.event.deserialization.ColumnType;
import com.github.shyiko.mysql.binlog.event.deserialization.json.JsonBinary;
import com.github.shyiko.mysql.binlog.event.deserialization.json.JsonFormatter;
import com.github.shyiko.mysql.binlog.event.deserialization.json.JsonStringFormatter;
import java.io.IOException;
import java.util.Base64;

/** The binlog's JSON as the text that MySQL returns, which differs from the library's for times and bytes. */
final class BinaryJson extends JsonBinary {
    private BinaryJson(byte[] bytes) {
        super(bytes);
    }

    static String text(byte[] bytes) throws IOException {
        Text text = new Text();
        new BinaryJson(bytes).parse(text);
        return text.getString();
    }

    /** 10 bits of hours, 6 each of minutes and seconds, 24 of the fraction; negated as a whole for a negative time. */
    @Override
    protected void parseTime(JsonFormatter formatter) throws IOException {
        long packed = readInt64();
        long time = Math.abs(packed);
        long seconds = time >> 24;
        formatter.value(String.format(
                "%s%02d:%02d:%02d.%06d",
                packed < 0 ? "-" : "",
                seconds >> 12 & 1023,
                seconds >> 6 & 63,
                seconds & 63,
                time & 0xffffff));
    }

    private static final class Text extends JsonStringFormatter {
        private static final Base64.Encoder BASE64 = Base64.getMimeEncoder(76, new byte[] {'\n'});

        @Override
        public void valueDatetime(int year, int month, int day, int hour, int minute, int second, int micros) {
            value(String.format("%04d-%02d-%02d %02d:%02d:%02d.%06d", year, month, day, hour, minute, second, micros));
        }

        @Override
        public void valueOpaque(ColumnType type, byte[] bytes) {
            value("base64:type" + type.getCode() + ":" + BASE64.encodeToString(bytes));
        }
    }
}
