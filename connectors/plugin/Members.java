package switchboard.connect;

import io.debezium.relational.Column;
import java.util.List;

/** The members of an ENUM or SET; Debezium keeps them as the table's definition writes them. */
final class Members {
    private Members() {}

    static List<String> of(Column column) {
        return column.enumValues().stream().map(Members::value).toList();
    }

    /** MySQL strips spaces at the end. */
    private static String value(String literal) {
        int last = literal.length() - 1;
        boolean quoted = last > 0 && "'\"".indexOf(literal.charAt(0)) >= 0 && literal.charAt(last) == literal.charAt(0);
        return (quoted ? unescaped(literal.substring(1, last), literal.charAt(0)) : literal).replaceAll(" +$", "");
    }

    private static String unescaped(String text, char quote) {
        StringBuilder value = new StringBuilder();
        for (int index = 0; index < text.length(); index++) {
            char character = text.charAt(index);
            boolean escapes = (character == '\\' || character == quote) && index + 1 < text.length();
            value.append(escapes ? escaped(character, text.charAt(++index)) : character);
        }
        return value.toString();
    }

    private static String escaped(char escape, char character) {
        if (escape != '\\') {
            return String.valueOf(character);
        }
        return switch (character) {
            case '0' -> "\0";
            case 'b' -> "\b";
            case 'n' -> "\n";
            case 'r' -> "\r";
            case 't' -> "\t";
            case 'Z' -> "\u001a";
            case '%', '_' -> "\\" + character;
            default -> String.valueOf(character);
        };
    }
}
