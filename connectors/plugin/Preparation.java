package switchboard.connect;

import io.debezium.config.CommonConnectorConfig;
import io.debezium.jdbc.JdbcConnection;
import io.debezium.pipeline.notification.Notification;
import io.debezium.pipeline.notification.channels.NotificationChannel;
import io.debezium.pipeline.spi.OffsetContext;
import io.debezium.pipeline.spi.Offsets;
import io.debezium.relational.DefaultValueConverter;
import io.debezium.relational.ValueConverterProvider;
import java.util.Optional;

/**
 * What has to be changed before Debezium recovers its definitions of the tables and continues a snapshot.
 *
 * <p>Debezium initialises the enabled notification channels after it has made its model of the tables, and before
 * both. This one notifies nothing: it takes that moment.
 */
public class Preparation implements NotificationChannel {
    @Override
    public String name() {
        return "switchboard";
    }

    @Override
    public void init(CommonConnectorConfig config) {
        Object schemaBuilder = Internals.get(config.getBeanRegistry().lookupByName("Schema", Object.class), "schemaBuilder");
        leaveOutDefaults(schemaBuilder);
        convertValues(schemaBuilder, config);
        pauseSnapshot(config.getBeanRegistry().lookupByName(Offsets.class.getName(), Offsets.class));
    }

    /**
     * Leaves the DEFAULTs of columns out of the records' schemas. Every record has every column, so no reader uses
     * them; and one that Debezium cannot convert, such as {@code BIT(4) DEFAULT 5}, stops the connector, at its next
     * start as well.
     */
    private static void leaveOutDefaults(Object schemaBuilder) {
        DefaultValueConverter none = (column, expression) -> Optional.empty();
        Internals.set(schemaBuilder, "defaultValueConverter", none);
    }

    private static void convertValues(Object schemaBuilder, CommonConnectorConfig config) {
        Charsets charsets = new Charsets(
                () -> config.getBeanRegistry().lookupByName(JdbcConnection.class.getName(), JdbcConnection.class));
        ValueConverterProvider debezium =
                (ValueConverterProvider) Internals.get(schemaBuilder, "valueConverterProvider");
        Internals.set(schemaBuilder, "valueConverterProvider", new StreamValues(debezium, charsets));
    }

    /** A snapshot that was running continues with our queries: see {@link SignalsBetweenTransactions}. */
    private static void pauseSnapshot(Offsets<?, ?> offsets) {
        OffsetContext position = offsets.getTheOnlyOffset();
        if (position != null && position.getIncrementalSnapshotContext().snapshotRunning()) {
            position.getIncrementalSnapshotContext().pauseSnapshot();
        }
    }

    @Override
    public void send(Notification notification) {}

    @Override
    public void close() {}
}
