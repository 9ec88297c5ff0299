package switchboard.flink;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.CachedSchemaRegistryClient;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.SchemaRegistryClient;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.rest.exceptions.RestClientException;
import org.apache.flink.avro.shaded.org.apache.avro.AvroTypeException;
import org.apache.flink.avro.shaded.org.apache.avro.Schema;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericDatumReader;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericRecord;
import org.apache.flink.avro.shaded.org.apache.avro.io.BinaryDecoder;
import org.apache.flink.avro.shaded.org.apache.avro.io.DecoderFactory;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.formats.avro.AvroToRowDataConverters;
import org.apache.flink.formats.avro.AvroToRowDataConverters.AvroToRowDataConverter;
import org.apache.flink.formats.avro.typeutils.AvroSchemaConverter;
import org.apache.flink.metrics.Counter;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.Projection;
import org.apache.flink.table.connector.format.DecodingFormat;
import org.apache.flink.table.connector.format.ProjectableDecodingFormat;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DeserializationFormatFactory;
import org.apache.flink.table.factories.DynamicTableFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.RowType;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The format "change-record": Flink's avro-confluent, except that an unreadable record is skipped and counted
 * (metric {@code unreadableRecords}) instead of failing the job without end. The lander stores it as a dead
 * letter. Faults that can be repaired still fail the job: a registry that is unavailable or came back empty, a
 * schema that lost a column.
 */
public class ChangeRecordFormat implements DeserializationFormatFactory {
    private static final ConfigOption<String> URL = ConfigOptions.key("url").stringType().noDefaultValue();

    @Override
    public String factoryIdentifier() {
        return "change-record";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of(URL);
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of();
    }

    @Override
    public DecodingFormat<DeserializationSchema<RowData>> createDecodingFormat(DynamicTableFactory.Context factory, ReadableConfig options) {
        FactoryUtil.validateFactoryOptions(this, options);
        String url = options.get(URL);
        return new ProjectableDecodingFormat<>() {
            @Override
            public DeserializationSchema<RowData> createRuntimeDecoder(DynamicTableSource.Context context, DataType whole, int[][] wanted) {
                DataType produced = Projection.of(wanted).project(whole);
                return new Deserializer((RowType) produced.getLogicalType(), context.createTypeInformation(produced), url);
            }

            @Override
            public ChangelogMode getChangelogMode() {
                return ChangelogMode.insertOnly();
            }
        };
    }

    static class Deserializer implements DeserializationSchema<RowData> {
        private static final Logger LOG = LoggerFactory.getLogger(ChangeRecordFormat.class);
        private static final int HEADER = 5;
        private static final int REMEMBERED = 1000;

        private final RowType type;
        private final TypeInformation<RowData> information;
        private final String url;
        private transient Schema expected;
        private transient AvroToRowDataConverter converter;
        private transient SchemaRegistryClient registry;
        private transient Map<Integer, GenericDatumReader<GenericRecord>> readers;
        private transient BinaryDecoder decoder;
        private transient Counter unreadable;

        Deserializer(RowType type, TypeInformation<RowData> information, String url) {
            this.type = type;
            this.information = information;
            this.url = url;
        }

        @Override
        public void open(InitializationContext context) {
            expected = AvroSchemaConverter.convertToSchema(type);
            converter = AvroToRowDataConverters.createRowConverter(type);
            registry = new CachedSchemaRegistryClient(url, REMEMBERED);
            readers = new HashMap<>();
            unreadable = context.getMetricGroup().counter("unreadableRecords");
        }

        @Override
        public RowData deserialize(byte[] message) throws IOException {
            if (message == null) {
                return null;
            }
            if (message.length < HEADER || message[0] != 0) {
                return skip("it has no schema id");
            }
            int id = ByteBuffer.wrap(message, 1, HEADER - 1).getInt();
            GenericDatumReader<GenericRecord> reader = readers.get(id);
            if (reader == null) {
                Schema written = written(id);
                if (written == null) {
                    return skip("schema id " + id + " is not in the registry");
                }
                reader = new GenericDatumReader<>(written, expected);
                readers.put(id, reader);
            }
            return decoded(message, id, reader);
        }

        private RowData decoded(byte[] message, int id, GenericDatumReader<GenericRecord> reader) throws IOException {
            // Reset for each message: bytes that a corrupt record leaves must not be read as the next one's.
            decoder = DecoderFactory.get().binaryDecoder(message, HEADER, message.length - HEADER, decoder);
            try {
                RowData row = (RowData) converter.convert(reader.read(null, decoder));
                return decoder.isEnd() ? row : skip("bytes are left over");
            } catch (AvroTypeException error) {
                throw new IOException("schema id " + id + " does not fit the columns that the job reads: " + error.getMessage(), error);
            } catch (IOException | RuntimeException | OutOfMemoryError error) { // a corrupt length asks for gigabytes
                return skip(error.toString());
            }
        }

        /** Null if a registry that knows others does not know it. */
        private Schema written(int id) throws IOException {
            try {
                return (Schema) registry.getSchemaById(id).rawSchema();
            } catch (RestClientException error) {
                if (error.getStatus() == 404 && knowsAny()) {
                    return null;
                }
                throw new IOException("the registry does not tell schema id " + id + ": " + error.getMessage(), error);
            }
        }

        private boolean knowsAny() throws IOException {
            try {
                return !registry.getAllSubjects().isEmpty();
            } catch (RestClientException error) {
                throw new IOException("the registry does not tell its subjects: " + error.getMessage(), error);
            }
        }

        private RowData skip(String reason) {
            unreadable.inc();
            LOG.warn("a record is skipped: {}; `switchboard dlq list` has its offset", reason);
            return null;
        }

        @Override
        public boolean isEndOfStream(RowData next) {
            return false;
        }

        @Override
        public TypeInformation<RowData> getProducedType() {
            return information;
        }
    }
}
