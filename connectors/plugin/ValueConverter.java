package switchboard.connect;

import io.apicurio.registry.utils.converter.AvroConverter;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.connect.data.Schema;

/**
 * Apicurio's Avro converter, which registers the same schemas, with two differences.
 *
 * <p>A NULL in a nullable column with a DEFAULT stays NULL instead of becoming the default.
 *
 * <p>A record that is larger than {@code switchboard.max.record.bytes} becomes a note that it was: the producer
 * would refuse it, and its task would fail. The note keeps the record's key, partition and place; landers write it to
 * the dead letters. Its first byte tells it from an Avro record.
 */
public class ValueConverter<T> extends AvroConverter<T> {
    private static final String MAX_RECORD_BYTES = "switchboard.max.record.bytes";
    private static final String NOTE = "\u0001";

    private int maxRecordBytes = Integer.MAX_VALUE;

    @Override
    public void configure(Map<String, ?> configs, boolean isKey) {
        super.configure(configs, isKey);
        if (configs.get(MAX_RECORD_BYTES) instanceof String limit) {
            maxRecordBytes = Integer.parseInt(limit);
        }
        try {
            Object data = accessible(AvroConverter.class, "avroData").get(this);
            accessible(data.getClass(), "ignoreDefaultForNullables").setBoolean(data, true);
        } catch (ReflectiveOperationException error) {
            throw new ConfigException("this version of Apicurio's converter cannot keep NULL apart from a default: " + error);
        }
    }

    @Override
    public byte[] fromConnectData(String topic, Schema schema, Object value) {
        return withinLimit(super.fromConnectData(topic, schema, value));
    }

    @Override
    public byte[] fromConnectData(String topic, Headers headers, Schema schema, Object value) {
        return withinLimit(super.fromConnectData(topic, headers, schema, value));
    }

    private byte[] withinLimit(byte[] record) {
        if (record == null || record.length <= maxRecordBytes) {
            return record;
        }
        String note = NOTE + "a record of " + record.length + " bytes, more than the " + maxRecordBytes
                + " that its topic takes";
        return note.getBytes(StandardCharsets.UTF_8);
    }

    private static Field accessible(Class<?> type, String name) throws NoSuchFieldException {
        Field field = type.getDeclaredField(name);
        field.setAccessible(true);
        return field;
    }
}
