package switchboard.connect;

import io.debezium.relational.TableId;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Which tables a prepared transaction has changed: the binlog has its changes where it was prepared, and Debezium
 * publishes them there, although XA ROLLBACK may follow at any time.
 */
final class XaTransactions {
    private static final Pattern STATEMENT =
            Pattern.compile("XA\\s+(START|BEGIN|COMMIT|ROLLBACK)\\s+(.*)", Pattern.CASE_INSENSITIVE | Pattern.DOTALL);

    private final Map<String, Set<TableId>> prepared = new HashMap<>();
    private String current;
    private Set<TableId> changed = new HashSet<>();

    void changes(TableId table) {
        if (current != null) {
            changed.add(table);
        }
    }

    void prepared() {
        if (current != null) {
            prepared.put(current, changed);
            current = null;
        }
    }

    /** The tables whose changes the statement takes back; {@code all} if it was prepared before this task started. */
    Collection<TableId> rolledBack(String sql, Supplier<? extends Collection<TableId>> all) {
        Matcher statement = STATEMENT.matcher(sql);
        if (!statement.matches()) {
            return Set.of();
        }
        String identity = statement.group(2);
        switch (statement.group(1).toUpperCase()) {
            case "COMMIT" -> prepared.remove(identity);
            case "ROLLBACK" -> {
                Set<TableId> tables = prepared.remove(identity);
                return tables != null ? tables : all.get();
            }
            default -> {
                current = identity;
                changed = new HashSet<>();
            }
        }
        return Set.of();
    }
}
