package switchboard.connect;

import java.time.DateTimeException;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.Year;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;

/**
 * Dates that MySQL stores and the calendar lacks: 0000-00-00, 2024-05-00, 2024-02-30, and the year 0000.
 *
 * <p>Debezium sends them as NULL, as 1970-01-01, or as an error, and not the same by snapshot and by stream. They are
 * sent as days before the year 0000, which no date of MySQL has: year·512 + month·32 + day days before -0001-12-31, so
 * that readers know which date it is. YEAR 0000 is sent as -1.
 */
final class NonexistentDates {
    private static final LocalDate ZERO = LocalDate.of(-1, 12, 31);

    /** Debezium would send 0 as 2000. */
    static final Year YEAR_ZERO = Year.of(ZERO.getYear());

    static final ZonedDateTime TIMESTAMP_ZERO = ZonedDateTime.of(ZERO, LocalTime.MIDNIGHT, ZoneOffset.UTC);

    private NonexistentDates() {}

    static LocalDate date(int year, int month, int day) {
        if (year > 0 && month > 0 && day > 0) {
            try {
                return LocalDate.of(year, month, day);
            } catch (DateTimeException error) {
                // it is sent as what it is not
            }
        }
        return ZERO.minusDays(year * 512L + month * 32L + day);
    }

    /** What MySQL compares with a column as it does the value. */
    static Object comparable(Object value) {
        if (value instanceof LocalDate date) {
            return isNonexistent(date) ? spelled(date) : value;
        }
        if (value instanceof LocalDateTime moment && isNonexistent(moment.toLocalDate())) {
            return spelled(moment.toLocalDate()) + " " + moment.toLocalTime();
        }
        if (TIMESTAMP_ZERO.equals(value)) {
            return spelled(ZERO);
        }
        if (value instanceof Year year) {
            return Math.max(year.getValue(), 0);
        }
        return value;
    }

    private static boolean isNonexistent(LocalDate date) {
        return date.getYear() < 0;
    }

    private static String spelled(LocalDate date) {
        long code = ZERO.toEpochDay() - date.toEpochDay();
        return String.format("%04d-%02d-%02d", code / 512, code / 32 % 16, code % 32);
    }
}
