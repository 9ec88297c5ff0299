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
 * The sessions of each agent's activities, partitioned by agent. A session begins with the first state after
 * offline and ends with the next offline; the time until the next activity is time in the present state.
 * Sessions follow late, corrected and deleted activities.
 *
 * <p>Activities are kept by days (UTC), each with the agent's state at its start, so that a change recomputes
 * its day, and later days only while their start changes. A day without changes for the job's time to live
 * expires. Later changes of it are skipped, so that no session is computed from half a day.
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

    /** The session as of its newest step: without log-in before the first one, the ended one after a log-out. */
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

    /** State of one agent that never expires: the numbers of its days, in order, and its newest session. */
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

    /** Null if the day, or the one before it, has expired. */
    private static Day day(Agent agent, MapView<Long, Day> days, long number) throws Exception {
        int index = Arrays.binarySearch(agent.days, number);
        if (index >= 0) {
            return days.get(number);
        }
        int next = -index - 1;
        Day day = new Day();
        if (next > 0 && next == agent.days.length) {
            day.before = agent.last.copy();
        } else if (next > 0) {
            Day previous = days.get(agent.days[next - 1]);
            if (previous == null) {
                return null;
            }
            day.before = atEnd(previous.before, previous.steps, new HashMap<>());
        }
        return day;
    }

    private void change(Agent agent, MapView<Long, Day> days, long number, Day day, Step[] steps) throws Exception {
        Map<Long, Session> before = new HashMap<>();
        Map<Long, Session> after = new HashMap<>();
        Map<Long, Day> changed = new HashMap<>();
        Session was = atEnd(day.before, day.steps, before);
        Session is = atEnd(day.before, steps, after);
        day.steps = steps;
        changed.put(number, day);
        long[] numbers = including(agent.days, number);
        int index = Arrays.binarySearch(numbers, number) + 1;
        for (; index < numbers.length && !was.same(is); index++) {
            Day next = days.get(numbers[index]);
            if (next == null) {
                return; // expired
            }
            was = atEnd(next.before, next.steps, before);
            next.before = is;
            is = atEnd(is, next.steps, after);
            changed.put(numbers[index], next);
        }
        for (Map.Entry<Long, Day> entry : changed.entrySet()) {
            days.put(entry.getKey(), entry.getValue());
        }
        agent.days = numbers;
        if (index == numbers.length) {
            agent.last = is;
        }
        emit(before, after);
    }

    /** The session at the end of the day. Adds each session of the day to `sessions`, by its log-in. */
    private static Session atEnd(Session before, Step[] steps, Map<Long, Session> sessions) {
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

    private void emit(Map<Long, Session> before, Map<Long, Session> after) {
        for (Session old : before.values()) {
            if (!after.containsKey(old.login)) {
                collect(row(RowKind.DELETE, old));
            }
        }
        for (Session session : after.values()) {
            Session old = before.get(session.login);
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
