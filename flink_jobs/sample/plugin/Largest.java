package switchboard.flink;

import java.util.Arrays;
import org.apache.flink.table.functions.AggregateFunction;

/**
 * MAX of texts with retraction, in bounded state: Flink's own keeps every value for as long as its group lives.
 * This one keeps the largest {@value #KEPT}; if more than those are retracted, earlier values are unknown.
 */
public class Largest extends AggregateFunction<String, Largest.Kept> {
    static final int KEPT = 32;

    /** The largest last. */
    public static class Kept {
        public String[] texts = {};
    }

    @Override
    public Kept createAccumulator() {
        return new Kept();
    }

    public void accumulate(Kept kept, String text) {
        int place = place(kept, text);
        String[] more = new String[kept.texts.length + 1];
        System.arraycopy(kept.texts, 0, more, 0, place);
        more[place] = text;
        System.arraycopy(kept.texts, place, more, place + 1, kept.texts.length - place);
        kept.texts = more.length > KEPT ? Arrays.copyOfRange(more, 1, more.length) : more;
    }

    public void retract(Kept kept, String text) {
        int place = place(kept, text);
        if (place == kept.texts.length || !kept.texts[place].equals(text)) {
            return; // too small to be kept
        }
        String[] fewer = new String[kept.texts.length - 1];
        System.arraycopy(kept.texts, 0, fewer, 0, place);
        System.arraycopy(kept.texts, place + 1, fewer, place, fewer.length - place);
        kept.texts = fewer;
    }

    @Override
    public String getValue(Kept kept) {
        return kept.texts.length == 0 ? null : kept.texts[kept.texts.length - 1];
    }

    private static int place(Kept kept, String text) {
        int place = Arrays.binarySearch(kept.texts, text);
        return place < 0 ? -place - 1 : place;
    }
}
