package switchboard.connect;

import io.debezium.config.CommonConnectorConfig;
import io.debezium.connector.binlog.BinlogReadOnlyIncrementalSnapshotContext;
import io.debezium.connector.mysql.MySqlConnectorConfig;
import io.debezium.jdbc.JdbcConnection;
import io.debezium.pipeline.ChangeEventSourceCoordinator;
import io.debezium.pipeline.EventDispatcher;
import io.debezium.pipeline.signal.actions.SignalAction;
import io.debezium.pipeline.signal.actions.SignalActionProvider;
import io.debezium.pipeline.source.snapshot.incremental.IncrementalSnapshotChangeEventSource;
import io.debezium.pipeline.source.snapshot.incremental.IncrementalSnapshotContext;
import io.debezium.pipeline.spi.OffsetContext;
import io.debezium.pipeline.spi.Offsets;
import io.debezium.pipeline.spi.Partition;
import io.debezium.relational.RelationalDatabaseConnectorConfig;
import io.debezium.spi.schema.DataCollectionId;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.BooleanSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Lets the thread that reads the binlog execute the signals of incremental snapshots, between two transactions.
 *
 * <p>Debezium executes them in its signal thread. It reads the first chunk there while the stream's thread, which
 * shares the chunk, its watermarks and the connector's position with it and no lock, may already publish that
 * chunk: the table's scan fails, or the task does. A chunk that is read at a resume is added to the chunk that was
 * open at the pause, under the watermarks of one of them.
 *
 * <p>Debezium calls a signal action provider once, when the stream is ready. This one adds no action: it takes that
 * moment to put itself before the snapshots' source.
 */
public class SignalsBetweenTransactions implements SignalActionProvider {
    @Override
    public <P extends Partition> Map<String, SignalAction<P>> createActions(
            EventDispatcher<P, ? extends DataCollectionId> dispatcher,
            ChangeEventSourceCoordinator<P, ?> coordinator,
            CommonConnectorConfig config) {
        IncrementalSnapshotChangeEventSource<P, ? extends DataCollectionId> source =
                dispatcher.getIncrementalSnapshotChangeEventSource();
        if (source != null) {
            useOurQueries(source, coordinator, config);
            dispatcher.setIncrementalSnapshotChangeEventSource(Optional.of(queued(source)));
        }
        return Map.of();
    }

    /** Before a snapshot that was running reads its next chunk: {@link Preparation} has paused it. */
    private static <P extends Partition> void useOurQueries(
            IncrementalSnapshotChangeEventSource<P, ? extends DataCollectionId> source,
            ChangeEventSourceCoordinator<P, ?> coordinator,
            CommonConnectorConfig config) {
        JdbcConnection connection = (JdbcConnection) Internals.get(source, "jdbcConnection");
        Map<?, ?> window = (Map<?, ?>) Internals.get(source, "window");
        SnapshotDates.replaceReader((MySqlConnectorConfig) config, connection);
        BooleanSupplier isRunning = () -> (boolean) Internals.get(coordinator, "running");
        Object queries = new ChunkQueries<>((RelationalDatabaseConnectorConfig) config, connection, window, isRunning);
        Internals.set(source, "chunkQueryBuilder", queries);
        OffsetContext position = coordinator.getStreamingSource().orElseThrow().getOffsetContext();
        if (position.getIncrementalSnapshotContext().isSnapshotPaused()) {
            position.getIncrementalSnapshotContext().resumeSnapshot();
            try {
                source.init(partition(coordinator), position);
            } catch (ChunkQueries.StoppedError stopped) {
                // it has been stopped while it started
            }
        }
    }

    @SuppressWarnings("unchecked")
    private static <P extends Partition> P partition(ChangeEventSourceCoordinator<P, ?> coordinator) {
        return ((Offsets<P, ?>) Internals.get(coordinator, "previousOffsets")).getTheOnlyPartition();
    }

    @SuppressWarnings("unchecked")
    private static <P extends Partition, T extends DataCollectionId>
            IncrementalSnapshotChangeEventSource<P, T> queued(IncrementalSnapshotChangeEventSource<P, T> source) {
        Class<?> type = IncrementalSnapshotChangeEventSource.class;
        return (IncrementalSnapshotChangeEventSource<P, T>)
                Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, new SignalQueue(source));
    }

    private record Call(Method method, Object[] arguments) {
        void invoke(Object target) throws Throwable {
            try {
                method.invoke(target, arguments);
            } catch (InvocationTargetException error) {
                throw error.getCause();
            }
        }

        String name() {
            return method.getName();
        }

        /** Of a call whose second argument is the connector's position. */
        IncrementalSnapshotContext<?> context() {
            return ((OffsetContext) arguments[1]).getIncrementalSnapshotContext();
        }
    }

    private static final class SignalQueue implements InvocationHandler {
        private static final Logger LOGGER = LoggerFactory.getLogger(SignalsBetweenTransactions.class);
        private static final Set<String> BETWEEN_TRANSACTIONS =
                Set.of("processTransactionCommittedEvent", "processHeartbeat");

        private final Object source;

        /** Filled by the signal thread, emptied by the stream's. A signal leaves it once it has been executed. */
        private final Queue<Call> signals = new ConcurrentLinkedQueue<>();

        SignalQueue(Object source) {
            this.source = source;
        }

        @Override
        public Object invoke(Object proxy, Method method, Object[] arguments) throws Throwable {
            Call call = new Call(method, arguments);
            switch (call.name()) {
                case "addDataCollectionNamesToSnapshot", "resumeSnapshot" -> signals.add(call);
                case "pauseSnapshot" -> pause(call);
                case "requestStopSnapshot" -> stop(call);
                default -> invokeUntilStopped(call);
            }
            return null;
        }

        /**
         * While no transaction is committed, Debezium reads chunk after chunk, also when its task has been stopped: it
         * would open the connection again that the task has closed, and keep the table locked against DDL.
         */
        private void invokeUntilStopped(Call call) throws Throwable {
            try {
                if (BETWEEN_TRANSACTIONS.contains(call.name())) {
                    executeSignals();
                }
                call.invoke(source);
            } catch (ChunkQueries.StoppedError stopped) {
                ((JdbcConnection) Internals.get(source, "jdbcConnection")).close();
            }
        }

        /**
         * Sets the flag at once, as the stream's thread reads chunk after chunk on an idle server before it looks
         * for signals again. It clears it to execute the signal, which would otherwise do nothing.
         */
        private void pause(Call call) {
            if (signals.isEmpty() && call.context().snapshotRunning()) {
                call.context().pauseSnapshot();
            }
            signals.add(call);
        }

        /** Debezium's own call only sets a flag; but it is lost if the snapshot to be stopped is still queued. */
        private void stop(Call call) throws Throwable {
            if (signals.isEmpty()) {
                call.invoke(source);
            } else {
                signals.add(call);
            }
        }

        private void executeSignals() throws InterruptedException {
            for (Call call = signals.peek(); call != null && !mustWait(call); call = signals.peek()) {
                execute(call);
                signals.remove();
            }
        }

        /** A snapshot resumes with a new chunk, so the chunk that was open at the pause is published first. */
        private static boolean mustWait(Call call) {
            return call.name().equals("resumeSnapshot")
                    && call.context().isSnapshotPaused()
                    && call.context() instanceof BinlogReadOnlyIncrementalSnapshotContext<?> context
                    && isChunkOpen(context);
        }

        /** Asked without a GTID, it answers whether there is a high watermark: from reading a chunk to publishing it. */
        private static boolean isChunkOpen(BinlogReadOnlyIncrementalSnapshotContext<?> context) {
            return context.snapshotRunning() && context.reachedHighWatermark(null);
        }

        private void execute(Call call) throws InterruptedException {
            try {
                if (call.name().equals("pauseSnapshot") && call.context().isSnapshotPaused()) {
                    call.context().resumeSnapshot();
                }
                call.invoke(source);
            } catch (InterruptedException | Error error) {
                throw error;
            } catch (Throwable error) {
                LOGGER.warn("Signal {} failed; the stream continues", call.name(), error);
            }
        }
    }
}
