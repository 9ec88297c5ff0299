package switchboard.flink;

import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.flink.table.annotation.ArgumentHint;
import org.apache.flink.table.annotation.ArgumentTrait;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.StateHint;
import org.apache.flink.table.api.dataview.MapView;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.functions.ChangelogFunction;
import org.apache.flink.table.functions.ProcessTableFunction;
import org.apache.flink.types.Row;
import org.apache.flink.types.RowKind;

/**
 * Each agent's activities, partitioned by agent, as sessions: one begins with the first state after offline and ends with the next
 * offline, and what lasts until the next activity is time in the state before it. Of an activity that comes late, is corrected or is
 * taken back, the sessions follow.
 *
 * <p>The activities are kept by days (UTC). With each day is kept how the agent came into it, so that a change reckons its day anew,
 * and the days after it only as long as the change still shows. A day that nothing has touched for the job's time to live is
 * forgotten; what comes for it later, or would change it, is left out: what stands of it was reckoned from all that was known.
 */
@DataTypeHint("ROW<logged_in_ms BIGINT, logged_out_ms BIGINT, newest_ms BIGINT, spent MAP<STRING, BIGINT>, state_ms STRING, "
        + "state_changes INT, committed_ms BIGINT>")
public class AgentSessions extends ProcessTableFunction<Row> implements ChangelogFunction {
    private static final long DAY_MS = 86_400_000;
    private static final String OFFLINE = "offline";

    public static class Step {
        public long at;
        public long id;
        public String state;
        public long committed;
    }

    /** The session as of its newest step; before the first log-in there is none, and after a log-out it is the one that ended. */
    public static class Session {
        public Long login;
        public Long logout;
        public long at;
        public String state = OFFLINE;
        public Map<String, Long> spent = new HashMap<>();
        public int changes;
        public long committed;

        boolean open() {
            return login != null && logout == null;
        }

        Session copy() {
            Session copy = new Session();
            copy.login = login;
            copy.logout = logout;
            copy.at = at;
            copy.state = state;
            copy.spent = new HashMap<>(spent);
            copy.changes = changes;
            copy.committed = committed;
            return copy;
        }

        boolean same(Session other) {
            return Objects.equals(login, other.login) && Objects.equals(logout, other.logout) && at == other.at
                    && state.equals(other.state) && spent.equals(other.spent) && changes == other.changes && committed == other.committed;
        }
    }

    public static class Day {
        public Session before = new Session();
        public Step[] steps = {};
    }

    /** Of one agent, for good: the numbers of the days that there were, in order, and how the last of them ended. */
    public static class Agent {
        public long[] days = {};
        public Session last = new Session();
    }

    @Override
    public ChangelogMode getChangelogMode(ChangelogContext context) {
        return ChangelogMode.all();
    }

    public void eval(
            @StateHint(ttl = "0 s") Agent agent,
            @StateHint MapView<Long, Day> days,
            @ArgumentHint(name = "activities", value = {
                ArgumentTrait.SET_SEMANTIC_TABLE, ArgumentTrait.SUPPORT_UPDATES, ArgumentTrait.REQUIRE_UPDATE_BEFORE}) Row activity)
            throws Exception {
        Step step = new Step();
        step.at = activity.getFieldAs("happened_ms");
        step.id = activity.getFieldAs("activity_id");
        step.state = activity.getFieldAs("state");
        step.committed = activity.getFieldAs("committed_ms");
        boolean comes = activity.getKind() == RowKind.INSERT || activity.getKind() == RowKind.UPDATE_AFTER;
        long number = Math.floorDiv(step.at, DAY_MS);
        Day day = day(agent, days, number);
        if (day != null) {
            change(agent, days, number, day, comes ? with(day.steps, step) : without(day.steps, step));
        }
    }

    /** Null if the day, or the one before it, is forgotten. */
    private static Day day(Agent agent, MapView<Long, Day> days, long number) throws Exception {
        int place = Arrays.binarySearch(agent.days, number);
        if (place >= 0) {
            return days.get(number);
        }
        int next = -place - 1;
        Day day = new Day();
        if (next > 0 && next == agent.days.length) {
            day.before = agent.last.copy();
        } else if (next > 0) {
            Day previous = days.get(agent.days[next - 1]);
            if (previous == null) {
                return null;
            }
            day.before = passed(previous.before, previous.steps, new HashMap<>());
        }
        return day;
    }

    private void change(Agent agent, MapView<Long, Day> days, long number, Day day, Step[] steps) throws Exception {
        Map<Long, Session> told = new HashMap<>();
        Map<Long, Session> found = new HashMap<>();
        Map<Long, Day> changed = new HashMap<>();
        Session was = passed(day.before, day.steps, told);
        Session is = passed(day.before, steps, found);
        day.steps = steps;
        changed.put(number, day);
        long[] numbers = including(agent.days, number);
        int place = Arrays.binarySearch(numbers, number) + 1;
        for (; place < numbers.length && !was.same(is); place++) {
            Day next = days.get(numbers[place]);
            if (next == null) {
                return; // forgotten
            }
            was = passed(next.before, next.steps, told);
            next.before = is;
            is = passed(is, next.steps, found);
            changed.put(numbers[place], next);
        }
        for (Map.Entry<Long, Day> entry : changed.entrySet()) {
            days.put(entry.getKey(), entry.getValue());
        }
        agent.days = numbers;
        if (place == numbers.length) {
            agent.last = is;
        }
        tell(told, found);
    }

    /** How the agent leaves the day. Each session that the day knows of, by its log-in, goes into `sessions` as it is then. */
    private static Session passed(Session before, Step[] steps, Map<Long, Session> sessions) {
        Session session = before.copy();
        if (session.login != null) {
            sessions.put(session.login, session);
        }
        for (Step step : steps) {
            boolean begins = !session.open();
            if (begins && step.state.equals(OFFLINE)) {
                continue;
            }
            if (begins && !Objects.equals(session.login, step.at)) { // off and on again in one millisecond is one session
                session = new Session();
                session.login = step.at;
                sessions.put(session.login, session);
            } else if (!begins) {
                session.spent.merge(session.state, step.at - session.at, Long::sum);
            }
            session.changes += session.state.equals(step.state) ? 0 : 1;
            session.state = step.state;
            session.at = step.at;
            session.logout = step.state.equals(OFFLINE) ? step.at : null;
            session.committed = Math.max(session.committed, step.committed);
        }
        return session;
    }

    private void tell(Map<Long, Session> told, Map<Long, Session> found) {
        for (Session old : told.values()) {
            if (!found.containsKey(old.login)) {
                collect(row(RowKind.DELETE, old));
            }
        }
        for (Session session : found.values()) {
            Session old = told.get(session.login);
            if (old == null) {
                collect(row(RowKind.INSERT, session));
            } else if (!old.same(session)) {
                collect(row(RowKind.UPDATE_BEFORE, old));
                collect(row(RowKind.UPDATE_AFTER, session));
            }
        }
    }

    private static Row row(RowKind kind, Session session) {
        String json = new TreeMap<>(session.spent)
                .entrySet().stream()
                .map(entry -> '"' + entry.getKey().replace("\\", "\\\\").replace("\"", "\\\"") + "\":" + entry.getValue())
                .collect(Collectors.joining(",", "{", "}"));
        return Row.ofKind(
                kind, session.login, session.logout, session.at, session.spent, json, session.changes, session.committed);
    }

    private static Step[] with(Step[] steps, Step step) {
        Step[] more = Arrays.copyOf(steps, steps.length + 1);
        more[steps.length] = step;
        Arrays.sort(more, Comparator.<Step>comparingLong(each -> each.at).thenComparingLong(each -> each.id));
        return more;
    }

    private static Step[] without(Step[] steps, Step step) {
        return Arrays.stream(steps).filter(each -> each.at != step.at || each.id != step.id).toArray(Step[]::new);
    }

    private static long[] including(long[] numbers, long number) {
        if (Arrays.binarySearch(numbers, number) >= 0) {
            return numbers;
        }
        long[] more = Arrays.copyOf(numbers, numbers.length + 1);
        more[numbers.length] = number;
        Arrays.sort(more);
        return more;
    }
}
