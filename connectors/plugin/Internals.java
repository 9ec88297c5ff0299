package switchboard.connect;

import java.lang.reflect.Field;
import org.apache.kafka.connect.errors.ConnectException;

/** Reads and writes private fields of Debezium, for what it has no setting for. */
final class Internals {
    private Internals() {}

    static Object get(Object target, String name) {
        try {
            return field(target.getClass(), name).get(target);
        } catch (IllegalAccessException error) {
            throw unknown(target, name, error);
        }
    }

    static void set(Object target, String name, Object value) {
        try {
            field(target.getClass(), name).set(target, value);
        } catch (IllegalAccessException error) {
            throw unknown(target, name, error);
        }
    }

    private static Field field(Class<?> type, String name) {
        for (Class<?> owner = type; owner != null; owner = owner.getSuperclass()) {
            try {
                Field field = owner.getDeclaredField(name);
                field.setAccessible(true);
                return field;
            } catch (NoSuchFieldException absent) {
                // it may be its superclass's
            }
        }
        throw new ConnectException("this version of Debezium has no " + type.getSimpleName() + "." + name);
    }

    private static ConnectException unknown(Object target, String name, Exception error) {
        return new ConnectException("cannot access " + target.getClass().getSimpleName() + "." + name, error);
    }
}
