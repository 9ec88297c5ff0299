package switchboard.connect;

import io.debezium.jdbc.JdbcConnection;
import io.debezium.pipeline.source.snapshot.incremental.DefaultChunkQueryBuilder;
import io.debezium.pipeline.source.snapshot.incremental.IncrementalSnapshotContext;
import io.debezium.relational.Column;
import io.debezium.relational.RelationalDatabaseConnectorConfig;
import io.debezium.relational.Table;
import io.debezium.spi.schema.DataCollectionId;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.function.BooleanSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The queries of incremental snapshots, for every column and key that MySQL has.
 *
 * <p>Debezium's own compare ENUM, SET, TIME and large unsigned keys with values of another order than the
 * index has, so that a snapshot ends after some chunks and calls itself complete; they select {@code *}, which
 * leaves invisible columns out; and they leave the rows of a chunk that failed to the next table.
 */
final class ChunkQueries<T extends DataCollectionId> extends DefaultChunkQueryBuilder<T> {
    private static final Logger LOGGER = LoggerFactory.getLogger(ChunkQueries.class);

    private final RelationalDatabaseConnectorConfig settings;
    private final JdbcConnection connection;
    private final Map<?, ?> window;
    private final BooleanSupplier isRunning;

    /** The current table's invisible columns, as {@code , name, name}: {@code *} leaves them out. */
    private String invisible = "";

    /** The connector is stopping: no further chunk is read. An Error, as Debezium takes an Exception for the table's. */
    @SuppressWarnings("serial")
    static final class StoppedError extends Error {}

    /** {@code window} holds the rows of the open chunk; {@code isRunning} says whether the connector is. */
    ChunkQueries(
            RelationalDatabaseConnectorConfig settings,
            JdbcConnection connection,
            Map<?, ?> window,
            BooleanSupplier isRunning) {
        super(settings, connection);
        this.settings = settings;
        this.connection = connection;
        this.window = window;
        this.isRunning = isRunning;
    }

    /** Not the known columns: MySQL may be some statements ahead, and the chunk is read again once they are known. */
    @Override
    protected String buildProjection(Table table) {
        return "*" + invisible;
    }

    /** Called before a chunk is read: what is left is of a chunk of another table, which failed. */
    @Override
    public Table prepareTable(IncrementalSnapshotContext<T> context, Table table) {
        if (!isRunning.getAsBoolean()) {
            throw new StoppedError();
        }
        window.clear();
        invisible = invisibleColumns(table);
        return super.prepareTable(context, table);
    }

    private String invisibleColumns(Table table) {
        String query = "SELECT column_name FROM information_schema.columns WHERE table_schema = ? AND table_name = ? "
                + "AND extra LIKE '%INVISIBLE%' ORDER BY ordinal_position";
        StringBuilder found = new StringBuilder();
        try {
            connection.prepareQuery(
                    query,
                    statement -> {
                        statement.setString(1, table.id().catalog());
                        statement.setString(2, table.id().table());
                    },
                    rows -> {
                        while (rows.next()) {
                            found.append(", ").append(connection.quoteIdentifier(rows.getString(1)));
                        }
                    });
        } catch (SQLException error) {
            LOGGER.warn("The invisible columns of {} are unknown", table.id(), error); // the chunk's query fails too
        }
        return found.toString();
    }

    @Override
    public PreparedStatement readTableChunkStatement(IncrementalSnapshotContext<T> context, Table table, String sql)
            throws SQLException {
        PreparedStatement statement = connection.readTablePreparedStatement(settings, sql, OptionalLong.empty());
        if (context.isNonInitialChunk()) {
            List<Column> columns = getQueryColumns(context, table);
            int next = bind(statement, 1, columns, context.chunkEndPosititon());
            bind(statement, next, columns, context.maximumKey().orElseThrow());
        }
        return statement;
    }

    /** Binds the first column, then the first two, and so on, as the condition of a composite key has them. */
    private static int bind(PreparedStatement statement, int first, List<Column> columns, Object[] key)
            throws SQLException {
        int next = first;
        for (int last = 0; last < key.length; last++) {
            for (int column = 0; column <= last; column++) {
                if (key[column] != null) {
                    statement.setObject(next++, comparable(columns.get(column), key[column]));
                }
            }
        }
        return next;
    }

    /** The value in a form that MySQL compares with the column as its index does. */
    private static Object comparable(Column column, Object value) {
        String type = column.typeName().toUpperCase();
        if (type.startsWith("ENUM")) {
            int number = Members.of(column).indexOf(value.toString()) + 1; // 0 for '', as an invalid value is stored
            return number > 0 || value.toString().isEmpty() ? number : value; // 0 would read the first chunk for ever
        }
        if (type.startsWith("SET")) {
            List<String> members = Members.of(column);
            String set = value.toString();
            return set.isEmpty() || members.containsAll(List.of(set.split(","))) ? memberBits(members, set) : value;
        }
        if (value instanceof BigInteger number) {
            return new BigDecimal(number); // bound as a number; a BigInteger as text, which is compared as DOUBLE
        }
        if (value instanceof Duration time) {
            return spelled(time);
        }
        return NonexistentDates.comparable(value);
    }

    private static BigDecimal memberBits(List<String> members, String value) {
        BigInteger bits = BigInteger.ZERO;
        for (String member : value.isEmpty() ? new String[0] : value.split(",")) {
            bits = bits.setBit(members.indexOf(member));
        }
        return new BigDecimal(bits);
    }

    private static String spelled(Duration time) {
        Duration positive = time.abs();
        return String.format(
                "%s%d:%02d:%02d.%06d",
                time.isNegative() ? "-" : "",
                positive.toHours(),
                positive.toMinutesPart(),
                positive.toSecondsPart(),
                positive.toNanosPart() / 1000);
    }
}
