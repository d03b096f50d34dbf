/* The option table. An option is a row here and a field in hv_options; nothing else names it but what uses it. */
#include "common/option_checks.h"
#include "common/options.h"

#define KIB (INT64_C(1) << 10)
#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)
#define TIB (INT64_C(1) << 40)
#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define FIELD(name) offsetof(hv_options, name)
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

const hv_option hv_option_table[] = {
    {.name = "store.dir", .type = HV_OPTION_PATH, .offset = FIELD(store_dir), .example = "/var/lib/hubvault/vault",
     .help = "Folder of the vault: everything that is kept. On the command line: --store DIR."},
    {.name = "index.dir", .type = HV_OPTION_PATH, .offset = FIELD(index_dir), .fallback_note = "store.dir with .index behind it",
     .example = "/var/lib/hubvault/index",
     .help = "Folder of the offset index, on a local disk. It can be rebuilt from the vault at any time. On the command line: --index DIR."},
    {.name = "index.map-size", .type = HV_OPTION_BYTES, .offset = FIELD(index_map_bytes), .fallback = 1 * GIB, .min = 1 * MIB,
     .max = 4 * TIB,
     .help = "Address space that the index begins with. It grows by itself; this is no limit and takes no disk."},

    {.name = "source.bootstrap", .type = HV_OPTION_TEXT, .offset = FIELD(source_bootstrap), .check = hv_option_check_bootstrap,
     .example = "kafka-1:9092,kafka-2:9092",
     .help = "Where the brokers are: host:port, several separated by commas. An Event Hubs connection string names its own, so it may "
             "be left out with source.auth = connection-string."},
    {.name = "source.auth", .type = HV_OPTION_ENUM, .offset = FIELD(source_auth), .fallback = HV_AUTH_NONE,
     .words = WORDS("none", "plain", "connection-string", "oauth"),
     .help = "How to log in: not at all; with source.user and source.password-file; with an Event Hubs connection string; with a token of "
             "Microsoft Entra, see the options below oauth."},
    {.name = "source.tls", .type = HV_OPTION_BOOL, .offset = FIELD(source_tls), .fallback_note = "yes, with source.auth = none: no",
     .help = "Encrypt the connection and check the broker's certificate. Without it, a password or token crosses the network in clear."},
    {.name = "source.ca-file", .type = HV_OPTION_PATH, .offset = FIELD(source_ca_file), .fallback_note = "those of the system",
     .example = "/etc/hubvault/ca.pem", .help = "Certificates that vouch for the broker, in PEM form."},
    {.name = "source.user", .type = HV_OPTION_TEXT, .offset = FIELD(source_user), .example = "hubvault",
     .help = "User name for source.auth = plain."},
    {.name = "source.password-file", .type = HV_OPTION_SECRET_FILE, .offset = FIELD(source_password_file),
     .example = "/etc/hubvault/password", .help = "File whose first line is the password for source.auth = plain."},
    {.name = "source.connection-string-file", .type = HV_OPTION_SECRET_FILE, .offset = FIELD(source_connection_string_file),
     .example = "/etc/hubvault/connection-string",
     .help = "File whose first line is an Event Hubs connection string. With an EntityPath in it, that hub is the only one."},
    {.name = "source.hub-credential", .type = HV_OPTION_FILE_PAIRS, .offset = FIELD(source_hub_credentials),
     .check = hv_option_check_hub, .example = "orders=/etc/hubvault/orders.connection-string",
     .help = "HUB=FILE: the connection string of one hub, once per hub. Takes the place of source.connection-string-file and "
             "source.hubs, and no right on the whole namespace is needed."},
    {.name = "source.hubs", .type = HV_OPTION_LIST, .offset = FIELD(source_hubs), .check = hv_option_check_hub,
     .fallback_note = "found by asking the broker", .example = "orders,customers",
     .help = "The hubs to capture, where the broker does not let us ask for all of them."},
    {.name = "source.include", .reload = true, .type = HV_OPTION_LIST, .offset = FIELD(source_include), .fallback_text = "*", .example = "orders,sales-*",
     .help = "Which of the hubs found are captured: names with * and ?. A hub has to match one of them."},
    {.name = "source.exclude", .reload = true, .type = HV_OPTION_LIST, .offset = FIELD(source_exclude), .example = "test-*",
     .help = "Which of these are not captured after all. Hubs that Kafka keeps for itself never are."},
    {.name = "source.discovery-interval", .reload = true, .type = HV_OPTION_DURATION, .offset = FIELD(source_discovery_interval_ms), .fallback = 1 * MINUTE,
     .min = 1 * SECOND, .max = 1 * DAY, .help = "How often to look for new hubs and new partitions."},
    {.name = "source.timeout", .type = HV_OPTION_DURATION, .offset = FIELD(source_timeout_ms), .fallback = 10 * SECOND,
     .min = 1 * SECOND, .max = 5 * MINUTE,
     .help = "How long a command waits for an answer of the broker before it says that there is none. 'run --once' "
             "waits three times as long, 'run' for ever."},
    {.name = "source.group", .type = HV_OPTION_TEXT, .offset = FIELD(source_group), .fallback_text = "hubvault",
     .check = hv_option_check_group,
     .help = "Consumer group under which archiver.group-commit reports how far capture has come."},
    {.name = "source.assignment", .type = HV_OPTION_ENUM, .offset = FIELD(source_assignment), .fallback = HV_ASSIGNMENT_ALL,
     .words = WORDS("all", "group"),
     .help = "Which partitions this archiver captures: all of them, or those that a consumer group gives it, which shares them out among all "
             "archivers of the vault. Where a partition goes on is read from the vault in both cases. 'run --once' takes all."},
    {.name = "source.assignment-group", .type = HV_OPTION_TEXT, .offset = FIELD(source_assignment_group), .check = hv_option_check_group,
     .fallback_note = "hubvault- and the id of the vault", .example = "hubvault-archivers",
     .help = "Consumer group for source.assignment = group. Not that of source.group, which is for reports."},
    {.name = "source.assignment-instance", .type = HV_OPTION_TEXT, .offset = FIELD(source_assignment_instance),
     .check = hv_option_check_group, .example = "archiver-1",
     .help = "Name of this archiver in the group, no other may have it. With a name, a restart within source.session-timeout keeps its "
             "partitions, and a stop does not hand them on before that time is over."},
    {.name = "source.session-timeout", .type = HV_OPTION_DURATION, .offset = FIELD(source_session_timeout_ms), .fallback = 30 * SECOND,
     .min = 1 * SECOND, .max = 5 * MINUTE,
     .help = "An archiver that the group has not heard of for so long loses its partitions to the others. Brokers allow from 6 s on unless "
             "they are told otherwise."},
    {.name = "source.release-timeout", .type = HV_OPTION_DURATION, .offset = FIELD(source_release_timeout_ms), .fallback = 10 * SECOND,
     .min = 1 * SECOND, .max = 5 * MINUTE,
     .help = "How long an archiver may take to seal what it has read of partitions that go to another. What is not sealed by then is dropped, "
             "and read again by the other."},
    {.name = "source.rdkafka", .type = HV_OPTION_PAIRS, .offset = FIELD(source_rdkafka), .check = hv_option_check_rdkafka,
     .example = "socket.timeout.ms=60000",
     .help = "NAME=VALUE: a property of librdkafka, for experts. It is set last, so it can break what hubvault relies on."},

    {.name = "oauth.method", .type = HV_OPTION_ENUM, .offset = FIELD(oauth_method), .fallback = HV_OAUTH_MANAGED_IDENTITY,
     .words = WORDS("client-secret", "workload-identity", "managed-identity"),
     .help = "What source.auth = oauth shows to get a token: a secret of an application, a token file of the cluster, or the identity of "
             "the machine."},
    {.name = "oauth.tenant", .type = HV_OPTION_TEXT, .offset = FIELD(oauth_tenant), .check = hv_option_check_plain,
     .environment = "AZURE_TENANT_ID", .example = "contoso.onmicrosoft.com", .help = "Tenant that issues the token, by id or domain."},
    {.name = "oauth.client-id", .type = HV_OPTION_TEXT, .offset = FIELD(oauth_client_id), .check = hv_option_check_plain,
     .environment = "AZURE_CLIENT_ID", .example = "11111111-2222-3333-4444-555555555555",
     .help = "Application, or the user-assigned identity of the machine."},
    {.name = "oauth.client-secret-file", .type = HV_OPTION_SECRET_FILE, .offset = FIELD(oauth_client_secret_file),
     .example = "/etc/hubvault/client-secret", .help = "File whose first line is the secret of the application."},
    {.name = "oauth.token-file", .type = HV_OPTION_SECRET_FILE, .offset = FIELD(oauth_token_file),
     .environment = "AZURE_FEDERATED_TOKEN_FILE", .example = "/var/run/secrets/azure/tokens/azure-identity-token",
     .help = "Token that the cluster gave this workload; read again each time."},
    {.name = "oauth.authority", .type = HV_OPTION_TEXT, .offset = FIELD(oauth_authority), .check = hv_option_check_url,
     .fallback_text = "https://login.microsoftonline.com", .environment = "AZURE_AUTHORITY_HOST",
     .help = "Where tokens are issued."},
    {.name = "oauth.scope", .type = HV_OPTION_TEXT, .offset = FIELD(oauth_scope), .check = hv_option_check_plain,
     .fallback_note = "https://, the first host of source.bootstrap, and /.default",
     .example = "https://example.servicebus.windows.net/.default", .help = "What the token is for."},
    {.name = "oauth.imds-endpoint", .type = HV_OPTION_TEXT, .offset = FIELD(oauth_imds_endpoint), .check = hv_option_check_url,
     .fallback_text = "http://169.254.169.254", .help = "Where the machine tells its identity."},

    {.name = "segment.max-bytes", .reload = true, .type = HV_OPTION_BYTES, .offset = FIELD(segment_max_bytes), .fallback = 8 * MIB, .min = 64 * KIB,
     .max = 1 * GIB, .help = "Seal a segment when about so many bytes would be stored. While one of a partition is being stored the next one "
                             "grows, so with a backlog they get larger."},
    {.name = "segment.max-age", .reload = true, .type = HV_OPTION_DURATION, .offset = FIELD(segment_max_age_ms), .fallback = 5 * MINUTE, .min = 1 * SECOND,
     .max = 1 * DAY, .help = "Seal a segment so long after its first event was read, however small it is. Until then the event is in the "
                             "hub only."},
    {.name = "segment.block-bytes", .type = HV_OPTION_BYTES, .offset = FIELD(segment_block_bytes), .fallback = 256 * KIB, .min = 4 * KIB,
     .max = 16 * MIB, .help = "Uncompressed size of a block, the least that a replay reads."},
    {.name = "segment.codec", .type = HV_OPTION_ENUM, .offset = FIELD(segment_codec), .fallback = HV_OPTION_CODEC_ZSTANDARD,
     .words = WORDS("zstandard", "deflate", "null"),
     .help = "Compression of the blocks. Some Avro readers lack zstandard; null does not compress."},
    {.name = "segment.level", .type = HV_OPTION_NUMBER, .offset = FIELD(segment_level), .fallback = 1, .min = 1, .max = 19,
     .help = "How hard to compress: up to 19 with zstandard, up to 12 with deflate. Higher is smaller and slower."},

    {.name = "archiver.memory", .reload = true, .type = HV_OPTION_BYTES, .offset = FIELD(archiver_memory), .fallback = 128 * MIB, .min = 16 * MIB,
     .max = 64 * GIB, .help = "Memory that all events on their way into segments may take together, whatever the number of partitions. "
                              "At the limit the largest segment is sealed early, then reading stops. A reload shares out anew what does not belong "
                              "to the client library, which keeps the quarter of the start."},
    {.name = "archiver.workers", .type = HV_OPTION_NUMBER, .offset = FIELD(archiver_workers), .fallback = 0, .min = 0, .max = 256,
     .help = "Threads that encode and compress; 0: as many as there are processors."},
    {.name = "archiver.uploaders", .type = HV_OPTION_NUMBER, .offset = FIELD(archiver_uploaders), .fallback = 4, .min = 1, .max = 256,
     .help = "Segments that are stored at the same time."},
    {.name = "archiver.headroom-warning", .reload = true, .type = HV_OPTION_DURATION, .offset = FIELD(archiver_headroom_warning_ms), .fallback = 6 * HOUR,
     .min = 1 * MINUTE, .max = 90 * DAY,
     .help = "Warn when the hub will delete the oldest event that is not sealed yet within this time."},
    {.name = "archiver.follow-interval", .type = HV_OPTION_DURATION, .offset = FIELD(archiver_follow_interval_ms), .fallback = 10 * SECOND,
     .min = 100, .max = 1 * HOUR,
     .help = "How often to look for segments that other archivers have put, so that the index has them. A partition in which nothing happens "
             "is looked at less often, down to a twelfth of that."},
    {.name = "archiver.group-commit", .type = HV_OPTION_BOOL, .offset = FIELD(archiver_group_commit),
     .help = "Report to the broker's consumer group how far capture has come, for dashboards. hubvault itself never asks it."},
    {.name = "archiver.snapshot-interval", .type = HV_OPTION_DURATION, .offset = FIELD(archiver_snapshot_interval_ms),
     .fallback = 1 * MINUTE, .min = 0, .max = 1 * DAY,
     .help = "How often to look at the offsets of consumer groups and the settings of topics, and keep in the vault what changed; 0s: never."},

    {.name = "archiver.stall-limit", .type = HV_OPTION_DURATION, .offset = FIELD(archiver_stall_limit_ms), .fallback = 1 * MINUTE,
     .min = 1 * SECOND, .max = 1 * DAY,
     .help = "How long a thread may be at one step of its work before /healthz says that it hangs. A put that the store takes long for is one."},

    {.name = "http.listen", .type = HV_OPTION_TEXT, .offset = FIELD(http_listen), .check = hv_option_check_listen,
     .fallback_text = "127.0.0.1:9464", .example = "[::1]:9464",
     .help = "Where 'run' answers /healthz, /readyz, /metrics and /status, or off. There is no login and no encryption, so anybody who reaches "
             "the address can read names of hubs and how many events they have: put a proxy that asks who it is in front of any other than "
             "loopback. If the default is taken already, the service runs without and says so; 'run --once' answers only where this is set."},
    {.name = "metrics.teams", .type = HV_OPTION_LIST, .offset = FIELD(metrics_teams), .check = hv_option_check_team,
     .example = "leads=sales-*,activation=account-*",
     .help = "TEAM=HUBS: which team a hub belongs to, for the label 'team' of the metrics. The first that fits counts."},
    {.name = "metrics.partitions", .type = HV_OPTION_BOOL, .offset = FIELD(metrics_partitions), .fallback = 0,
     .help = "Show the lag, headroom and position of every single partition in /metrics. /status has them in any case."},

    {.name = "log.level", .reload = true, .type = HV_OPTION_ENUM, .offset = FIELD(log_level), .fallback = 2,
     .words = WORDS("error", "warning", "info", "debug"), .help = "What the log on standard error tells: this and all that is worse."},
    {.name = "log.format", .reload = true, .type = HV_OPTION_ENUM, .offset = FIELD(log_format), .fallback = HV_LOG_FORMAT_LOGFMT,
     .words = WORDS("logfmt", "json"), .help = "How it looks."},
};
const size_t hv_option_count = sizeof hv_option_table / sizeof *hv_option_table;

_Static_assert(sizeof hv_option_table / sizeof *hv_option_table <= HV_OPTION_ROOM, "hv_options.origins is too small");
