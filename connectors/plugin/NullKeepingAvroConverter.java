package switchboard.connect;

import io.apicurio.registry.utils.converter.AvroConverter;
import java.lang.reflect.Field;
import java.util.Map;
import org.apache.kafka.common.config.ConfigException;

/**
 * Apicurio's Avro converter with a switch turned on for which it has no setting: a NULL in a nullable column
 * with a DEFAULT stays NULL instead of becoming the default. It registers the same schemas.
 */
public class NullKeepingAvroConverter<T> extends AvroConverter<T> {
    @Override
    public void configure(Map<String, ?> configs, boolean isKey) {
        super.configure(configs, isKey);
        try {
            Object data = accessible(AvroConverter.class, "avroData").get(this);
            accessible(data.getClass(), "ignoreDefaultForNullables").setBoolean(data, true);
        } catch (ReflectiveOperationException error) {
            throw new ConfigException("this version of Apicurio's converter cannot keep NULL apart from a default: " + error);
        }
    }

    private static Field accessible(Class<?> type, String name) throws NoSuchFieldException {
        Field field = type.getDeclaredField(name);
        field.setAccessible(true);
        return field;
    }
}
