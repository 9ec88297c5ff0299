package switchboard.connect;

import com.github.shyiko.mysql.binlog.BinaryLogClient;
import com.github.shyiko.mysql.binlog.event.EventType;
import com.github.shyiko.mysql.binlog.event.TableMapEventData;
import com.github.shyiko.mysql.binlog.event.deserialization.EventDataDeserializer;
import com.github.shyiko.mysql.binlog.event.deserialization.EventDeserializer;
import com.github.shyiko.mysql.binlog.io.ByteArrayInputStream;
import io.debezium.DebeziumException;
import io.debezium.config.CommonConnectorConfig.EventProcessingFailureHandlingMode;
import io.debezium.connector.binlog.event.RowDeserializers;
import java.io.IOException;
import java.io.Serializable;
import java.util.Map;

/**
 * Reads events with dates that do not exist, such as 30 February (`sql_mode` ALLOW_INVALID_DATES): Debezium ends its
 * task, before the event's table is known. Used by the thread that reads the binlog alone.
 */
final class InvalidDates {
    private static final EventProcessingFailureHandlingMode FAIL = EventProcessingFailureHandlingMode.FAIL;

    private String problem;

    /** What was wrong in the event that was read last, once; null if nothing was. */
    String take() {
        String found = problem;
        problem = null;
        return found;
    }

    void replaceDeserializers(BinaryLogClient client) {
        EventDeserializer events = (EventDeserializer) Internals.get(client, "eventDeserializer");
        Map<?, ?> current = (Map<?, ?>) Internals.get(events, "eventDataDeserializers");
        @SuppressWarnings("unchecked")
        Map<Long, TableMapEventData> tables =
                (Map<Long, TableMapEventData>) Internals.get(current.get(EventType.WRITE_ROWS), "tableMapEventByTableId");
        set(events, EventType.WRITE_ROWS, new Writes(tables));
        set(events, EventType.UPDATE_ROWS, new Updates(tables));
        set(events, EventType.DELETE_ROWS, new Deletes(tables));
        set(events, EventType.EXT_WRITE_ROWS, new Writes(tables).setMayContainExtraInformation(true));
        set(events, EventType.EXT_UPDATE_ROWS, new Updates(tables).setMayContainExtraInformation(true));
        set(events, EventType.EXT_DELETE_ROWS, new Deletes(tables).setMayContainExtraInformation(true));
    }

    private static void set(EventDeserializer events, EventType type, EventDataDeserializer<?> rows) {
        events.setEventDataDeserializer(type, rows);
    }

    private interface Reading {
        Serializable read() throws IOException;
    }

    /** Debezium fails after it has read the value's bytes, so that the next value can be read. */
    private Serializable valid(Reading reading) throws IOException {
        try {
            return reading.read();
        } catch (DebeziumException error) {
            problem = error.getMessage();
            return null;
        }
    }

    private final class Writes extends RowDeserializers.WriteRowsDeserializer {
        Writes(Map<Long, TableMapEventData> tables) {
            super(tables, FAIL);
        }

        @Override
        protected Serializable deserializeDate(ByteArrayInputStream input) throws IOException {
            return valid(() -> super.deserializeDate(input));
        }

        @Override
        protected Serializable deserializeDatetime(ByteArrayInputStream input) throws IOException {
            return valid(() -> super.deserializeDatetime(input));
        }

        @Override
        protected Serializable deserializeDatetimeV2(int meta, ByteArrayInputStream input) throws IOException {
            return valid(() -> super.deserializeDatetimeV2(meta, input));
        }
    }

    private final class Updates extends RowDeserializers.UpdateRowsDeserializer {
        Updates(Map<Long, TableMapEventData> tables) {
            super(tables, FAIL);
        }

        @Override
        protected Serializable deserializeDate(ByteArrayInputStream input) throws IOException {
            return valid(() -> super.deserializeDate(input));
        }

        @Override
        protected Serializable deserializeDatetime(ByteArrayInputStream input) throws IOException {
            return valid(() -> super.deserializeDatetime(input));
        }

        @Override
        protected Serializable deserializeDatetimeV2(int meta, ByteArrayInputStream input) throws IOException {
            return valid(() -> super.deserializeDatetimeV2(meta, input));
        }
    }

    private final class Deletes extends RowDeserializers.DeleteRowsDeserializer {
        Deletes(Map<Long, TableMapEventData> tables) {
            super(tables, FAIL);
        }

        @Override
        protected Serializable deserializeDate(ByteArrayInputStream input) throws IOException {
            return valid(() -> super.deserializeDate(input));
        }

        @Override
        protected Serializable deserializeDatetime(ByteArrayInputStream input) throws IOException {
            return valid(() -> super.deserializeDatetime(input));
        }

        @Override
        protected Serializable deserializeDatetimeV2(int meta, ByteArrayInputStream input) throws IOException {
            return valid(() -> super.deserializeDatetimeV2(meta, input));
        }
    }
}
