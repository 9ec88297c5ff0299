package switchboard.connect;

import io.debezium.DebeziumException;
import io.debezium.relational.Column;
import io.debezium.relational.ValueConverter;
import io.debezium.relational.ValueConverterProvider;
import java.io.IOException;
import java.sql.Types;
import java.util.List;
import java.util.StringJoiner;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.SchemaBuilder;

/** Converts the binlog's values to those that MySQL returns to a snapshot, where Debezium's differ. */
final class StreamValues implements ValueConverterProvider {
    private final ValueConverterProvider debezium;
    private final Charsets charsets;

    StreamValues(ValueConverterProvider debezium, Charsets charsets) {
        this.debezium = debezium;
        this.charsets = charsets;
    }

    @Override
    public SchemaBuilder schemaBuilder(Column column) {
        return debezium.schemaBuilder(column);
    }

    @Override
    public ValueConverter converter(Column column, Field field) {
        ValueConverter converter = debezium.converter(column, field);
        String type = column.typeName().toUpperCase();
        if (type.startsWith("ENUM")) {
            List<String> members = Members.of(column);
            return value -> converter.convert(value instanceof Integer number ? member(members, number) : value);
        }
        if (type.startsWith("SET")) {
            List<String> members = Members.of(column);
            return value -> converter.convert(value instanceof Long bits ? joined(members, bits) : value);
        }
        if (type.equals("JSON")) {
            return value -> converter.convert(value instanceof byte[] bytes && bytes.length > 0 ? json(bytes) : value);
        }
        if (isText(column) && column.charsetName() != null) {
            String charset = column.charsetName().toLowerCase();
            return value -> converter.convert(value instanceof byte[] bytes ? text(charset, bytes) : value);
        }
        return converter;
    }

    /** What MySQL stores for an invalid value has the number 0; a number without a member is left to Debezium. */
    private static Object member(List<String> members, Integer number) {
        if (number == 0) {
            return "";
        }
        return number > 0 && number <= members.size() ? members.get(number - 1) : number;
    }

    private static String joined(List<String> members, long bits) {
        StringJoiner joined = new StringJoiner(",");
        for (int index = 0; index < members.size(); index++) {
            if ((bits >> index & 1) == 1) {
                joined.add(members.get(index));
            }
        }
        return joined.toString();
    }

    private static String json(byte[] bytes) {
        try {
            return BinaryJson.text(bytes);
        } catch (IOException error) {
            throw new DebeziumException("cannot read a JSON value", error);
        }
    }

    private static boolean isText(Column column) {
        return switch (column.jdbcType()) {
            case Types.CHAR, Types.VARCHAR, Types.LONGVARCHAR, Types.CLOB, Types.NCHAR, Types.NVARCHAR,
                    Types.LONGNVARCHAR, Types.NCLOB -> true;
            default -> false;
        };
    }

    private Object text(String charset, byte[] bytes) {
        return charsets.decode(charset, bytes).<Object>map(text -> text).orElse(bytes);
    }
}
