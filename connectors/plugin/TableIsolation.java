package switchboard.connect;

import com.github.shyiko.mysql.binlog.event.DeleteRowsEventData;
import com.github.shyiko.mysql.binlog.event.Event;
import com.github.shyiko.mysql.binlog.event.EventData;
import com.github.shyiko.mysql.binlog.event.EventType;
import com.github.shyiko.mysql.binlog.event.QueryEventData;
import com.github.shyiko.mysql.binlog.event.TableMapEventData;
import com.github.shyiko.mysql.binlog.event.UpdateRowsEventData;
import com.github.shyiko.mysql.binlog.event.WriteRowsEventData;
import com.github.shyiko.mysql.binlog.event.deserialization.EventDeserializer.EventDataWrapper;
import io.debezium.config.CommonConnectorConfig;
import io.debezium.connector.binlog.BinlogConnectorConfig;
import io.debezium.connector.binlog.BinlogDatabaseSchema;
import io.debezium.connector.binlog.BinlogOffsetContext;
import io.debezium.connector.binlog.BinlogPartition;
import io.debezium.connector.binlog.BinlogStreamingChangeEventSource;
import io.debezium.function.BlockingConsumer;
import io.debezium.jdbc.JdbcConnection;
import io.debezium.pipeline.ChangeEventSourceCoordinator;
import io.debezium.pipeline.EventDispatcher;
import io.debezium.pipeline.notification.Notification;
import io.debezium.pipeline.notification.NotificationService;
import io.debezium.pipeline.signal.actions.SignalAction;
import io.debezium.pipeline.signal.actions.SignalActionProvider;
import io.debezium.pipeline.spi.Offsets;
import io.debezium.pipeline.spi.Partition;
import io.debezium.relational.Table;
import io.debezium.relational.TableId;
import io.debezium.relational.Tables.TableFilter;
import io.debezium.spi.schema.DataCollectionId;
import java.io.IOException;
import java.sql.SQLException;
import java.util.BitSet;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.kafka.connect.errors.RetriableException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Skips the events of one table that Debezium cannot process, and reports them, so that all other tables continue.
 *
 * <p>A report is a notification with the aggregate type {@code Table}, published with the position of the skipped
 * event. Whoever reads it has the table read again. After a statement that Debezium cannot parse, and when an event
 * does not fit the known definition of its table, the definition is read from MySQL.
 *
 * <p>Debezium calls a signal action provider once, when the stream is ready. This one adds no action: it takes that
 * moment to put itself around the handlers of events.
 */
public class TableIsolation implements SignalActionProvider {
    private static final String SETTING = "switchboard.isolate.tables";

    @Override
    @SuppressWarnings({"unchecked", "rawtypes"})
    public <P extends Partition> Map<String, SignalAction<P>> createActions(
            EventDispatcher<P, ? extends DataCollectionId> dispatcher,
            ChangeEventSourceCoordinator<P, ?> coordinator,
            CommonConnectorConfig config) {
        Object stream = coordinator.getStreamingSource().orElse(null);
        if (config.getConfig().getBoolean(SETTING, true)
                && stream instanceof BinlogStreamingChangeEventSource<?, ?> source
                && config instanceof BinlogConnectorConfig binlog) {
            Internals.set(source, "eventHandlers", new Guard(source, dispatcher, coordinator, binlog));
        }
        return Map.of();
    }

    /** Debezium's map of event handlers; each handler that concerns a table is wrapped when it is put. */
    private static final class Guard<P extends BinlogPartition, O extends BinlogOffsetContext<?>>
            extends EnumMap<EventType, BlockingConsumer<Event>> {
        private static final Logger LOGGER = LoggerFactory.getLogger(TableIsolation.class);
        private static final Pattern NAME = Pattern.compile("`((?:[^`]|``)+)`|\"((?:[^\"]|\"\")+)\"|([\\p{L}\\p{N}_$]+)");
        private static final Pattern TRANSACTION =
                Pattern.compile("(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|XA)\\b.*", Pattern.CASE_INSENSITIVE | Pattern.DOTALL);
        private static final int MAX_DETAIL_CHARS = 500;
        private static final char NOT_UTF8 = '\ufffd';

        private final BinlogStreamingChangeEventSource<P, O> source;
        private final NotificationService<P, O> notifications;
        private final BinlogDatabaseSchema<P, O, ?, ?> schema;
        private final TableFilter captured;
        private final TableDefinitions<P, O> definitions;
        private final P partition;
        private final Map<Long, Integer> columnCounts = new HashMap<>();

        private final XaTransactions xaTransactions = new XaTransactions();

        /** In the current transaction: one report of a table suffices to have it read again. */
        private final Set<TableId> reported = new HashSet<>();

        @SuppressWarnings("unchecked")
        Guard(
                BinlogStreamingChangeEventSource<P, O> source,
                EventDispatcher<P, TableId> dispatcher,
                ChangeEventSourceCoordinator<P, O> coordinator,
                BinlogConnectorConfig config) {
            super(EventType.class);
            this.source = source;
            this.notifications = (NotificationService<P, O>) Internals.get(coordinator, "notificationService");
            this.schema = (BinlogDatabaseSchema<P, O, ?, ?>) Internals.get(source, "schema");
            this.captured = config.getTableFilters().dataCollectionFilter();
            this.partition = ((Offsets<P, O>) Internals.get(coordinator, "previousOffsets")).getTheOnlyPartition();
            JdbcConnection connection =
                    config.getBeanRegistry().lookupByName(JdbcConnection.class.getName(), JdbcConnection.class);
            this.definitions = new TableDefinitions<>(schema, dispatcher, connection, partition);
            StreamDates.replaceDeserializers(source.getBinaryLogClient());
        }

        @Override
        public BlockingConsumer<Event> put(EventType type, BlockingConsumer<Event> handler) {
            return super.put(type, switch (type) {
                case QUERY -> event -> handleStatement(handler, event);
                case TABLE_MAP -> event -> handleTableMap(handler, event);
                case WRITE_ROWS, EXT_WRITE_ROWS, UPDATE_ROWS, EXT_UPDATE_ROWS, DELETE_ROWS, EXT_DELETE_ROWS ->
                        event -> handleRows(handler, event);
                case ROTATE -> event -> {
                    columnCounts.clear();
                    handler.accept(event);
                };
                case XA_PREPARE -> event -> {
                    xaTransactions.prepared();
                    handler.accept(event);
                };
                case XID -> event -> {
                    reported.clear();
                    handler.accept(event);
                };
                default -> handler;
            });
        }

        private void handleStatement(BlockingConsumer<Event> handler, Event event) throws InterruptedException {
            reported.clear();
            QueryEventData statement = data(event);
            String sql = statement.getSql().trim();
            for (TableId table : xaTransactions.rolledBack(sql, this::capturedTables)) {
                report(table, "ROLLED_BACK", sql);
            }
            try {
                handler.accept(event);
                if (definitions.areUnreadable()) {
                    capturedTablesIn(sql, statement.getDatabase()).forEach(definitions::maybeReadable);
                }
                if (sql.indexOf(NOT_UTF8) >= 0) { // such as a member of an ENUM, over a connection in latin1
                    for (TableId table : capturedTablesIn(sql, statement.getDatabase())) {
                        definitions.reload(table, position());
                    }
                }
            } catch (RuntimeException error) {
                if (TRANSACTION.matcher(sql).matches() || !isOfATable(error)) {
                    throw error;
                }
                LOGGER.warn("A statement cannot be processed: {}", sql, error);
                for (TableId table : capturedTablesIn(sql, statement.getDatabase())) {
                    String problem = definitions.reload(table, position());
                    report(table, problem.isEmpty() ? "STATEMENT" : "DEFINITION", sql + (problem.isEmpty() ? "" : ": " + problem));
                }
            }
        }

        private void handleTableMap(BlockingConsumer<Event> handler, Event event) throws InterruptedException {
            TableMapEventData map = data(event);
            columnCounts.put(map.getTableId(), map.getColumnTypes().length);
            TableId table = new TableId(map.getDatabase(), null, map.getTable());
            if (captured.isIncluded(table)) {
                xaTransactions.changes(table);
            }
            try {
                handler.accept(event);
            } catch (RuntimeException error) {
                if (!isOfATable(error)) {
                    throw error;
                }
                if (definitions.isUnreadable(table)) {
                    return;
                }
                String problem = definitions.reload(table, position());
                report(table, problem.isEmpty() ? "UNKNOWN_TABLE" : "DEFINITION", problem);
                if (problem.isEmpty()) {
                    handler.accept(event);
                }
            }
        }

        private void handleRows(BlockingConsumer<Event> handler, Event event) throws InterruptedException {
            try {
                handler.accept(event);
            } catch (RuntimeException error) {
                Rows rows = Rows.of(data(event));
                TableId table = schema.getTableId(rows.tableNumber);
                if (table == null || !isOfATable(error)) {
                    throw error;
                }
                handleFailed(handler, event, table, rows, error);
            }
        }

        private void handleFailed(
                BlockingConsumer<Event> handler, Event event, TableId table, Rows rows, RuntimeException error)
                throws InterruptedException {
            Integer columns = columnCounts.get(rows.tableNumber);
            String kind = columns != null && rows.columns < columns ? "PARTIAL_ROW" : "ROW";
            RuntimeException cause = error;
            if (hasOtherColumnCount(table, columns) && definitions.reload(table, position()).isEmpty()) {
                try {
                    handler.accept(event);
                    report(table, "UNKNOWN_DEFINITION", message(error));
                    return;
                } catch (RuntimeException again) {
                    cause = again;
                }
            }
            LOGGER.warn("An event of {} fails", table, cause);
            skip(table, kind, message(cause));
        }

        private void skip(TableId table, String kind, String detail) {
            Internals.set(source, "startingRowNumber", 0); // as Debezium does at the end of an event
            position().changeEventCompleted();
            report(table, kind, detail);
        }

        private boolean hasOtherColumnCount(TableId table, Integer columns) {
            Table known = schema.tableFor(table);
            return columns != null && known != null && known.columns().size() != columns;
        }

        private Set<TableId> capturedTables() {
            return schema.tableIds().stream().filter(captured::isIncluded).collect(Collectors.toSet());
        }

        private Set<TableId> capturedTablesIn(String sql, String database) {
            Set<TableId> found = new LinkedHashSet<>();
            Matcher names = NAME.matcher(sql);
            String before = null;
            int end = 0;
            while (names.find()) {
                boolean qualified = before != null && sql.substring(end, names.start()).strip().equals(".");
                String name = unquoted(names);
                TableId table = new TableId(qualified ? before : database, null, name);
                if (captured.isIncluded(table)) {
                    found.add(table);
                }
                before = name;
                end = names.end();
            }
            return found;
        }

        private static String unquoted(Matcher name) {
            if (name.group(1) != null) {
                return name.group(1).replace("``", "`");
            }
            return name.group(2) != null ? name.group(2).replace("\"\"", "\"") : name.group(3);
        }

        private void report(TableId table, String kind, String detail) {
            if (!reported.add(table)) {
                return;
            }
            String shortened = detail.length() > MAX_DETAIL_CHARS ? detail.substring(0, MAX_DETAIL_CHARS) : detail;
            Map<String, String> data = Map.of("database", table.catalog(), "table", table.table(), "detail", shortened);
            notifications.notify(
                    new Notification(UUID.randomUUID().toString(), "Table", kind, data, System.currentTimeMillis()),
                    Offsets.of(partition, position()));
        }

        private O position() {
            return source.getOffsetContext();
        }

        /** Not of a table: an interruption, and what a server or the network causes, which a restart may end. */
        private static boolean isOfATable(Throwable error) {
            for (Throwable cause = error; cause != null; cause = cause.getCause()) {
                if (cause instanceof InterruptedException
                        || cause instanceof SQLException
                        || cause instanceof IOException
                        || cause instanceof RetriableException) {
                    return false;
                }
            }
            return true;
        }

        private static String message(Throwable error) {
            Throwable cause = error;
            while (cause.getCause() != null) {
                cause = cause.getCause();
            }
            return String.valueOf(cause.getMessage());
        }

        @SuppressWarnings("unchecked")
        private static <T extends EventData> T data(Event event) {
            EventData data = event.getData();
            return (T) (data instanceof EventDataWrapper wrapper ? wrapper.getInternal() : data);
        }
    }

    /** The table of a rows event, by its number in the binlog, and how many of its columns the event has. */
    private record Rows(long tableNumber, int columns) {
        static Rows of(EventData data) {
            if (data instanceof UpdateRowsEventData update) {
                BitSet before = update.getIncludedColumnsBeforeUpdate();
                return new Rows(
                        update.getTableId(),
                        Math.min(before.cardinality(), update.getIncludedColumns().cardinality()));
            }
            if (data instanceof DeleteRowsEventData delete) {
                return new Rows(delete.getTableId(), delete.getIncludedColumns().cardinality());
            }
            WriteRowsEventData write = (WriteRowsEventData) data;
            return new Rows(write.getTableId(), write.getIncludedColumns().cardinality());
        }
    }
}
