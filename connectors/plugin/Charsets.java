package switchboard.connect;

import io.debezium.DebeziumException;
import io.debezium.jdbc.JdbcConnection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

/**
 * MySQL's mapping of bytes to characters, asked of MySQL once for each character set: Java has none for armscii8, hp8
 * or swe7, others differ in some characters, and Debezium takes koi8u for koi8r.
 */
final class Charsets {
    /** Ranges of the bytes of a character, of the character sets whose mapping is not Java's. */
    private static final Map<String, String[]> SEVERAL_BYTES = Map.of(
            "sjis", new String[] {"00-7f a1-df", "81-9f e0-fc/40-7e 80-fc"},
            "euckr", new String[] {"00-7f", "81-fe/41-5a 61-7a 81-fe"},
            "gbk", new String[] {"00-7f", "81-fe/40-7e 80-fe"},
            "ujis", new String[] {"00-7f", "8e-8e/a1-df", "a1-fe/a1-fe", "8f-8f/a1-fe/a1-fe"},
            "eucjpms", new String[] {"00-7f", "8e-8e/a1-df", "a1-fe/a1-fe", "8f-8f/a1-fe/a1-fe"});

    private static final String[] SINGLE_BYTES = {"00-ff"};

    private final Supplier<JdbcConnection> connection;
    private final Map<String, Optional<Table>> codePoints = new ConcurrentHashMap<>();

    Charsets(Supplier<JdbcConnection> connection) {
        this.connection = connection;
    }

    /** The text of these bytes; empty if Java's mapping is the same. */
    Optional<String> decode(String charset, byte[] bytes) {
        return codePoints.computeIfAbsent(charset, this::query).map(table -> table.decode(bytes));
    }

    private Optional<Table> query(String charset) {
        JdbcConnection mysql = connection.get();
        try {
            return query(mysql, charset);
        } catch (SQLException first) {
            try {
                mysql.close(); // MySQL may have closed it, as it was idle
                return query(mysql, charset);
            } catch (SQLException error) {
                throw new DebeziumException("cannot read MySQL's character set " + charset, error);
            }
        }
    }

    private static Optional<Table> query(JdbcConnection mysql, String charset) throws SQLException {
        String[] ranges = SEVERAL_BYTES.get(charset);
        if (ranges == null) {
            String isSingle = "SELECT 1 FROM information_schema.character_sets WHERE maxlen = 1 AND character_set_name = '"
                    + charset.replaceAll("\\W", "") + "'";
            if (!mysql.queryAndMap(isSingle, rows -> rows.next())) {
                return Optional.empty();
            }
            ranges = SINGLE_BYTES;
        }
        List<String> characters = new ArrayList<>();
        for (String range : ranges) {
            addCharacters(characters, "", range.split("/"), 0);
        }
        String converted = "SELECT HEX(CONVERT(CONVERT(x'" + String.join("", characters) + "' USING " + charset
                + ") USING utf32))";
        return Optional.of(Table.of(characters, mysql.queryAndMap(converted, rows -> rows.next() ? rows.getString(1) : "")));
    }

    /** Adds, in hexadecimal, each character that begins with {@code first} and continues within the ranges. */
    private static void addCharacters(List<String> characters, String first, String[] ranges, int next) {
        if (next == ranges.length) {
            characters.add(first);
            return;
        }
        for (String range : ranges[next].split(" ")) {
            int last = Integer.parseInt(range.substring(3), 16);
            for (int code = Integer.parseInt(range.substring(0, 2), 16); code <= last; code++) {
                addCharacters(characters, first + String.format("%02x", code), ranges, next + 1);
            }
        }
    }

    /** The code point of each character of up to two bytes, and of longer ones, by its bytes after a 1; -1 for none. */
    private record Table(int[] codePoints, Map<Integer, Integer> longer) {
        static Table of(List<String> characters, String utf32) {
            if (utf32 == null || utf32.length() != 8 * characters.size()) {
                throw new DebeziumException("MySQL has other characters in a character set than are known here");
            }
            boolean isSingle = characters.stream().allMatch(bytes -> bytes.length() == 2);
            Table table = new Table(new int[isSingle ? 0x200 : 0x20000], new HashMap<>());
            Arrays.fill(table.codePoints, -1);
            for (int index = 0; index < characters.size(); index++) {
                int character = Integer.parseInt("1" + characters.get(index), 16);
                table.put(character, Integer.parseInt(utf32.substring(8 * index, 8 * index + 8), 16));
            }
            return table;
        }

        private void put(int character, int codePoint) {
            if (character < codePoints.length) {
                codePoints[character] = codePoint;
            } else {
                longer.put(character, codePoint);
            }
        }

        String decode(byte[] bytes) {
            StringBuilder text = new StringBuilder(bytes.length);
            int character = 1;
            for (byte each : bytes) {
                character = character << 8 | each & 0xff;
                int codePoint = character < codePoints.length ? codePoints[character] : longer.getOrDefault(character, -1);
                if (codePoint >= 0 || character > 0xffffff) {
                    text.appendCodePoint(codePoint >= 0 ? codePoint : '?');
                    character = 1;
                }
            }
            return text.toString();
        }
    }
}
