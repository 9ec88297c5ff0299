package switchboard.connect;

import io.debezium.DebeziumException;
import io.debezium.connector.binlog.BinlogDatabaseSchema;
import io.debezium.connector.binlog.BinlogOffsetContext;
import io.debezium.connector.binlog.BinlogPartition;
import io.debezium.jdbc.JdbcConnection;
import io.debezium.pipeline.EventDispatcher;
import io.debezium.relational.TableId;
import io.debezium.relational.Tables;
import io.debezium.schema.SchemaChangeEvent;
import java.sql.SQLException;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Replaces Debezium's definition of a table by MySQL's own, in memory and in the schema history. */
final class TableDefinitions<P extends BinlogPartition, O extends BinlogOffsetContext<?>> {
    private static final long RETRY_NANOS = TimeUnit.SECONDS.toNanos(30);

    private final BinlogDatabaseSchema<P, O, ?, ?> schema;
    private final Tables tables;
    private final EventDispatcher<P, TableId> dispatcher;
    private final JdbcConnection connection;
    private final P partition;
    private final Map<TableId, Long> unreadable = new HashMap<>();

    TableDefinitions(
            BinlogDatabaseSchema<P, O, ?, ?> schema,
            EventDispatcher<P, TableId> dispatcher,
            JdbcConnection connection,
            P partition) {
        this.schema = schema;
        this.tables = (Tables) Internals.get(schema, "tables");
        this.dispatcher = dispatcher;
        this.connection = connection;
        this.partition = partition;
    }

    /**
     * Reads the table's definition from MySQL.
     *
     * @return empty, or why the table has no definition from now on
     */
    String reload(TableId table, O position) throws InterruptedException {
        String problem = "Debezium does not understand its definition";
        try {
            tables.removeTable(table); // of a table that it knows, Debezium ignores the definition
            apply(definition(table), table, position);
            if (schema.tableFor(table) != null && schema.schemaFor(table) != null) {
                unreadable.remove(table);
                return "";
            }
        } catch (SQLException | RuntimeException error) {
            problem = String.valueOf(error.getMessage());
        }
        apply("DROP TABLE IF EXISTS " + quoted(table), table, position);
        unreadable.put(table, System.nanoTime());
        return problem;
    }

    /** Whether an attempt to read the table's definition has failed lately. */
    boolean isUnreadable(TableId table) {
        Long failedAt = unreadable.get(table);
        return failedAt != null && System.nanoTime() - failedAt < RETRY_NANOS;
    }

    boolean areUnreadable() {
        return !unreadable.isEmpty();
    }

    /** A statement may have made the table's definition readable. */
    void maybeReadable(TableId table) {
        unreadable.remove(table);
    }

    private String definition(TableId table) throws SQLException {
        try {
            return queryDefinition(table);
        } catch (SQLException error) {
            connection.close(); // MySQL may have closed it, as it was idle
            return queryDefinition(table);
        }
    }

    private String queryDefinition(TableId table) throws SQLException {
        connection.execute("SET SESSION sql_mode = ''"); // else names may be in quotes that Debezium cannot parse
        return connection.queryAndMap("SHOW CREATE TABLE " + quoted(table), rows -> {
            if (!rows.next()) {
                throw new DebeziumException("it does not exist");
            }
            return rows.getString(2);
        });
    }

    private void apply(String statement, TableId table, O position) throws InterruptedException {
        for (SchemaChangeEvent change :
                schema.parseStreamingDdl(partition, statement, table.catalog(), position, Instant.now())) {
            dispatcher.dispatchSchemaChangeEvent(partition, position, table, receiver -> receiver.schemaChangeEvent(change));
        }
    }

    private static String quoted(TableId table) {
        return quoted(table.catalog()) + "." + quoted(table.table());
    }

    private static String quoted(String name) {
        return "`" + name.replace("`", "``") + "`";
    }
}
