package switchboard.connect;

import io.debezium.config.CommonConnectorConfig;
import io.debezium.pipeline.notification.Notification;
import io.debezium.pipeline.notification.channels.NotificationChannel;
import io.debezium.relational.DefaultValueConverter;
import java.util.Optional;

/**
 * Leaves the DEFAULTs of columns out of the records' schemas. Every record has every column, so no reader uses
 * them; and one that Debezium cannot convert, such as {@code BIT(4) DEFAULT 5}, stops the connector, at its next
 * start as well.
 *
 * <p>Debezium initialises the enabled notification channels after it has made its model of the tables, and before
 * it recovers the tables' definitions. This one notifies nothing: it takes that moment.
 */
public class WithoutDefaults implements NotificationChannel {
    @Override
    public String name() {
        return "without-defaults";
    }

    @Override
    public void init(CommonConnectorConfig config) {
        Object schema = config.getBeanRegistry().lookupByName("Schema", Object.class);
        DefaultValueConverter none = (column, expression) -> Optional.empty();
        Internals.set(Internals.get(schema, "schemaBuilder"), "defaultValueConverter", none);
    }

    @Override
    public void send(Notification notification) {}

    @Override
    public void close() {}
}
