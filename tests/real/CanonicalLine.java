import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;

/** Builds the canonical line of one event; canonical.py describes it. Call place(), header() for each, end(). */
final class CanonicalLine {
    private static final Base64.Encoder BASE64 = Base64.getEncoder();

    private final StringBuilder text = new StringBuilder(512);
    private boolean hasHeader;

    CanonicalLine place(int partition, long offset, long timestamp, String timestampType, byte[] key) {
        text.setLength(0);
        hasHeader = false;
        text.append("{\"partition\":").append(partition).append(",\"offset\":").append(offset).append(",\"timestamp\":").append(timestamp);
        text.append(",\"timestampType\":\"").append(timestampType).append("\",\"key\":");
        bytes(key);
        text.append(",\"headers\":[");
        return this;
    }

    CanonicalLine header(byte[] name, byte[] value) {
        text.append(hasHeader ? ",[" : "[");
        hasHeader = true;
        name(name);
        text.append(',');
        bytes(value);
        text.append(']');
        return this;
    }

    byte[] end(byte[] value) {
        text.append("],\"value\":");
        bytes(value);
        return text.append("}\n").toString().getBytes(StandardCharsets.UTF_8);
    }

    private void bytes(byte[] data) {
        if (data == null) {
            text.append("null");
        } else {
            text.append('"').append(BASE64.encodeToString(data)).append('"');
        }
    }

    private void name(byte[] raw) {
        String name;
        try {
            name = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(raw)).toString();
        } catch (CharacterCodingException notText) {
            text.append("{\"base64\":\"").append(BASE64.encodeToString(raw)).append("\"}");
            return;
        }
        text.append('"');
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            if (c == '"' || c == '\\') {
                text.append('\\').append(c);
            } else if (c < 0x20 || c == 0x7f) {
                text.append(String.format("\\u%04x", (int) c));
            } else {
                text.append(c);
            }
        }
        text.append('"');
    }
}
