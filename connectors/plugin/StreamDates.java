package switchboard.connect;

import com.github.luben.zstd.Zstd;
import com.github.shyiko.mysql.binlog.BinaryLogClient;
import com.github.shyiko.mysql.binlog.event.Event;
import com.github.shyiko.mysql.binlog.event.EventType;
import com.github.shyiko.mysql.binlog.event.TableMapEventData;
import com.github.shyiko.mysql.binlog.event.TransactionPayloadEventData;
import com.github.shyiko.mysql.binlog.event.deserialization.ColumnType;
import com.github.shyiko.mysql.binlog.event.deserialization.EventDeserializer;
import com.github.shyiko.mysql.binlog.event.deserialization.TransactionPayloadEventDataDeserializer;
import com.github.shyiko.mysql.binlog.io.ByteArrayInputStream;
import io.debezium.config.CommonConnectorConfig.EventProcessingFailureHandlingMode;
import io.debezium.connector.binlog.event.RowDeserializers;
import java.io.IOException;
import java.io.Serializable;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.Year;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.Map;

/** Reads the dates of the binlog's events, {@link NonexistentDates} too; in compressed transactions as well. */
final class StreamDates {
    private static final EventProcessingFailureHandlingMode FAIL = EventProcessingFailureHandlingMode.FAIL;

    private StreamDates() {}

    static void replaceDeserializers(BinaryLogClient client) {
        EventDeserializer events = (EventDeserializer) Internals.get(client, "eventDeserializer");
        Map<?, ?> current = (Map<?, ?>) Internals.get(events, "eventDataDeserializers");
        @SuppressWarnings("unchecked")
        Map<Long, TableMapEventData> tables =
                (Map<Long, TableMapEventData>) Internals.get(current.get(EventType.WRITE_ROWS), "tableMapEventByTableId");
        setDeserializers(events, tables);
        events.setEventDataDeserializer(EventType.TRANSACTION_PAYLOAD, new Compressed(tables));
    }

    private static void setDeserializers(EventDeserializer events, Map<Long, TableMapEventData> tables) {
        events.setEventDataDeserializer(EventType.WRITE_ROWS, new Writes(tables));
        events.setEventDataDeserializer(EventType.UPDATE_ROWS, new Updates(tables));
        events.setEventDataDeserializer(EventType.DELETE_ROWS, new Deletes(tables));
        events.setEventDataDeserializer(
                EventType.EXT_WRITE_ROWS, new Writes(tables).setMayContainExtraInformation(true));
        events.setEventDataDeserializer(
                EventType.EXT_UPDATE_ROWS, new Updates(tables).setMayContainExtraInformation(true));
        events.setEventDataDeserializer(
                EventType.EXT_DELETE_ROWS, new Deletes(tables).setMayContainExtraInformation(true));
    }

    /** The value in the class that Debezium's own deserializer returns; null if the type is none of a date. */
    private static Serializable read(ColumnType type, int meta, ByteArrayInputStream input) throws IOException {
        return switch (type) {
            case DATE -> date(input.readInteger(3));
            case DATETIME -> datetime(input.readLong(8));
            case DATETIME_V2 -> datetime(bigEndian(input, 5), nanos(meta, input));
            case TIMESTAMP -> timestamp(input.readLong(4), 0);
            case TIMESTAMP_V2 -> timestamp(bigEndian(input, 4), nanos(meta, input));
            case YEAR -> year(input.readInteger(1));
            default -> null;
        };
    }

    /** 15 bits of the year, 4 of the month, 5 of the day. */
    private static Serializable date(int bits) {
        return NonexistentDates.date(bits >> 9, bits >> 5 & 15, bits & 31);
    }

    /** As MySQL wrote it before 5.6: the decimal digits YYYYMMDDhhmmss. */
    private static Serializable datetime(long digits) {
        long date = digits / 1_000_000;
        LocalTime time =
                LocalTime.of((int) (digits / 10_000 % 100), (int) (digits / 100 % 100), (int) (digits % 100));
        return LocalDateTime.of(
                NonexistentDates.date((int) (date / 10_000), (int) (date / 100 % 100), (int) (date % 100)), time);
    }

    /** A sign, 17 bits of year·13 + month, 5 of the day, 5 of the hour, 6 of the minute, 6 of the second. */
    private static Serializable datetime(long bits, int nanos) {
        int months = (int) (bits >> 22 & 0x1ffff);
        LocalTime time = LocalTime.of((int) (bits >> 12 & 31), (int) (bits >> 6 & 63), (int) (bits & 63), nanos);
        return LocalDateTime.of(NonexistentDates.date(months / 13, months % 13, (int) (bits >> 17 & 31)), time);
    }

    private static Serializable timestamp(long seconds, int nanos) {
        return seconds == 0 && nanos == 0
                ? NonexistentDates.TIMESTAMP_ZERO
                : ZonedDateTime.ofInstant(Instant.ofEpochSecond(seconds, nanos), ZoneOffset.UTC);
    }

    private static Serializable year(int since1900) {
        return since1900 == 0 ? NonexistentDates.YEAR_ZERO : Year.of(1900 + since1900);
    }

    /** A fraction of {@code digits} digits is stored with an even number of them, two to a byte. */
    private static int nanos(int digits, ByteArrayInputStream input) throws IOException {
        int bytes = (digits + 1) / 2;
        int nanos = (int) bigEndian(input, bytes);
        for (int place = 2 * bytes; place < 9; place++) {
            nanos *= 10;
        }
        return nanos;
    }

    private static long bigEndian(ByteArrayInputStream input, int bytes) throws IOException {
        long value = 0;
        for (int index = 0; index < bytes; index++) {
            value = value << 8 | input.readInteger(1);
        }
        return value;
    }

    private static final class Writes extends RowDeserializers.WriteRowsDeserializer {
        Writes(Map<Long, TableMapEventData> tables) {
            super(tables, FAIL);
        }

        @Override
        protected Serializable deserializeCell(ColumnType type, int meta, int length, ByteArrayInputStream input)
                throws IOException {
            Serializable date = read(type, meta, input);
            return date != null ? date : super.deserializeCell(type, meta, length, input);
        }
    }

    private static final class Updates extends RowDeserializers.UpdateRowsDeserializer {
        Updates(Map<Long, TableMapEventData> tables) {
            super(tables, FAIL);
        }

        @Override
        protected Serializable deserializeCell(ColumnType type, int meta, int length, ByteArrayInputStream input)
                throws IOException {
            Serializable date = read(type, meta, input);
            return date != null ? date : super.deserializeCell(type, meta, length, input);
        }
    }

    private static final class Deletes extends RowDeserializers.DeleteRowsDeserializer {
        Deletes(Map<Long, TableMapEventData> tables) {
            super(tables, FAIL);
        }

        @Override
        protected Serializable deserializeCell(ColumnType type, int meta, int length, ByteArrayInputStream input)
                throws IOException {
            Serializable date = read(type, meta, input);
            return date != null ? date : super.deserializeCell(type, meta, length, input);
        }
    }

    /** A transaction under {@code binlog_transaction_compression}: its events in one, compressed. */
    private static final class Compressed extends TransactionPayloadEventDataDeserializer {
        private final Map<Long, TableMapEventData> tables;

        Compressed(Map<Long, TableMapEventData> tables) {
            this.tables = tables;
        }

        @Override
        public TransactionPayloadEventData deserialize(ByteArrayInputStream input) throws IOException {
            TransactionPayloadEventData payload = readPayload(input);
            byte[] events = new byte[Math.toIntExact(payload.getUncompressedSize())];
            byte[] compressed = payload.getPayload();
            Zstd.decompressByteArray(events, 0, events.length, compressed, 0, compressed.length);
            payload.setUncompressedEvents(read(new ByteArrayInputStream(events)));
            return payload;
        }

        private ArrayList<Event> read(ByteArrayInputStream input) throws IOException {
            EventDeserializer deserializer = new EventDeserializer();
            setDeserializers(deserializer, tables);
            ArrayList<Event> events = new ArrayList<>();
            for (Event event = deserializer.nextEvent(input); event != null; event = deserializer.nextEvent(input)) {
                events.add(event);
                if (event.getData() instanceof TableMapEventData map) {
                    tables.put(map.getTableId(), map);
                }
            }
            return events;
        }

        private static TransactionPayloadEventData readPayload(ByteArrayInputStream input) throws IOException {
            TransactionPayloadEventData payload = new TransactionPayloadEventData();
            for (int field = input.readPackedInteger();
                    field != OTW_PAYLOAD_HEADER_END_MARK;
                    field = input.readPackedInteger()) {
                int length = input.readPackedInteger();
                switch (field) {
                    case OTW_PAYLOAD_SIZE_FIELD -> payload.setPayloadSize(input.readPackedInteger());
                    case OTW_PAYLOAD_UNCOMPRESSED_SIZE_FIELD -> payload.setUncompressedSize(input.readPackedInteger());
                    default -> input.read(length);
                }
            }
            payload.setPayload(input.read(payload.getPayloadSize()));
            return payload;
        }
    }
}
