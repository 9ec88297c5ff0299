package switchboard.connect;

import io.debezium.connector.binlog.jdbc.BinlogFieldReader;
import io.debezium.connector.mysql.MySqlConnectorConfig;
import io.debezium.connector.mysql.jdbc.MySqlTextProtocolFieldReader;
import io.debezium.jdbc.JdbcConnection;
import io.debezium.relational.Column;
import io.debezium.relational.Table;
import java.nio.charset.StandardCharsets;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.Year;
import org.apache.kafka.connect.errors.ConnectException;

/** Reads the dates of a snapshot's rows as {@link StreamDates} reads those of the binlog. */
final class SnapshotDates extends MySqlTextProtocolFieldReader {
    private SnapshotDates(MySqlConnectorConfig settings) {
        super(settings);
    }

    static void replaceReader(MySqlConnectorConfig settings, JdbcConnection connection) {
        BinlogFieldReader current = (BinlogFieldReader) Internals.get(connection, "fieldReader");
        if (!(current instanceof MySqlTextProtocolFieldReader)) {
            throw new ConnectException("snapshot.fetch.size and database.useCursorFetch are not supported: remove them");
        }
        Internals.set(connection, "fieldReader", new SnapshotDates(settings));
    }

    @Override
    public Object readField(ResultSet rows, int index, Column column, Table table) throws SQLException {
        boolean isYear = column.typeName().equalsIgnoreCase("YEAR");
        switch (column.jdbcType()) {
            case Types.DATE, Types.TIMESTAMP, Types.TIMESTAMP_WITH_TIMEZONE:
                break;
            default:
                if (!isYear) {
                    return super.readField(rows, index, column, table);
                }
        }
        byte[] bytes = rows.getBytes(index);
        if (bytes == null) {
            return null;
        }
        String text = new String(bytes, StandardCharsets.US_ASCII);
        if (isYear) {
            return text.equals("0000") ? NonexistentDates.YEAR_ZERO : Year.parse(text);
        }
        return switch (column.jdbcType()) {
            case Types.DATE -> date(text);
            case Types.TIMESTAMP -> LocalDateTime.of(date(text), LocalTime.parse(text.substring(11)));
            default ->
                text.startsWith("0000")
                        ? NonexistentDates.TIMESTAMP_ZERO
                        : super.readField(rows, index, column, table);
        };
    }

    private static LocalDate date(String text) {
        return NonexistentDates.date(
                Integer.parseInt(text.substring(0, 4)),
                Integer.parseInt(text.substring(5, 7)),
                Integer.parseInt(text.substring(8, 10)));
    }
}
