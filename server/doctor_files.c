/*
 * The configuration file and the files with secrets.
 *
 * Who may read a secret is judged by the mode of the file alone. A projected token of a cluster is readable by everybody in its
 * container by design, hence only a warning there.
 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/secret.h"
#include "server/doctor_checks.h"
#include "source/connection_string.h"

void
hv_doctor_check_config(hv_doctor *doctor)
{
    const char *path = doctor->config->config;
    struct stat st;

    if (path == NULL)
        hv_doctor_say(doctor, "configuration", HV_CHECK_OK, "", "no file is read; defaults and the command line count");
    else if (stat(path, &st) != 0)
        hv_doctor_say(doctor, "configuration", HV_CHECK_FAILED, "", "'%s': %s", path, strerror(errno));
    else if (S_ISREG(st.st_mode) && (st.st_mode & S_IWOTH) != 0)
        hv_doctor_say(doctor, "configuration", HV_CHECK_FAILED, "chmod o-w the file", "'%s' can be changed by everybody on this machine", path);
    else
        hv_doctor_say(doctor, "configuration", HV_CHECK_OK, "", "'%s'", path);
}

/* What a connection string gives away about its key. hub: the one it is meant for, NULL for all. */
static void
check_connection_string(hv_doctor *doctor, const char *name, const char *path, const char *text, const char *hub)
{
    HV_AUTO(hv_connection_string_clear) hv_connection_string string = {0};
    hv_err err;

    if (hv_connection_string_parse(text, &string, &err) != HV_OK)
        hv_doctor_say(doctor, name, HV_CHECK_FAILED, "copy it again from the portal, on one line", "'%s': %s", path, err.msg);
    else if (hub != NULL && string.entity_path[0] != '\0' && strcmp(hub, string.entity_path) != 0)
        hv_doctor_say(doctor, name, HV_CHECK_FAILED, "correct source.hub-credential", "'%s' is for hub '%s', not '%s'", path,
                      string.entity_path, hub);
    else if (strcmp(string.key_name, "RootManageSharedAccessKey") == 0)
        hv_doctor_say(doctor, name, HV_CHECK_WARNING, "make a key of its own with the right Listen only",
                      "'%s' holds RootManageSharedAccessKey, which may also send to and delete hubs", path);
    else
        hv_doctor_say(doctor, name, HV_CHECK_OK, "", "'%s': key '%s' of %s, %s%s", path, string.key_name, string.host,
                      string.entity_path[0] != '\0' ? "hub " : "all hubs", string.entity_path);
}

static void
check_secret(hv_doctor *doctor, const char *name, const char *path, const char *hub)
{
    bool connection_string = hub != NULL || strcmp(name, "source.connection-string-file") == 0;
    bool projected = strcmp(name, "oauth.token-file") == 0;
    HV_AUTO(hv_secret_wipe) hv_secret secret = {0};
    struct stat st;
    hv_err err;

    if (stat(path, &st) != 0)
        hv_doctor_say(doctor, name, HV_CHECK_FAILED, "make the file, or correct the option", "'%s': %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        hv_doctor_say(doctor, name, HV_CHECK_FAILED, "correct the option", "'%s' is not a file", path);
    else if ((st.st_mode & 0007) != 0 && !projected)
        hv_doctor_say(doctor, name, HV_CHECK_FAILED, "chmod 600 the file, and change the secret: others may have read it",
                      "'%s' is open to everybody on this machine (mode %04o)", path, (unsigned)st.st_mode & 07777);
    else if (hv_secret_read(path, "secret", &secret, &err) != HV_OK)
        hv_doctor_say(doctor, name, HV_CHECK_FAILED, "", "%s", err.msg);
    else if ((st.st_mode & 0077) != 0)
        hv_doctor_say(doctor, name, HV_CHECK_WARNING, "chmod 600 the file if nobody else needs it",
                      "'%s' is open to others than its owner (mode %04o)", path, (unsigned)st.st_mode & 07777);
    else if (connection_string)
        check_connection_string(doctor, name, path, secret.text, hub);
    else
        hv_doctor_say(doctor, name, HV_CHECK_OK, "", "'%s' is there and for its owner only", path);
}

static void
check_pairs(hv_doctor *doctor, const hv_option *option, const hv_texts *pairs)
{
    for (size_t i = 0; i < pairs->count; i++) {
        const char *equals = strchr(pairs->items[i], '=');
        char hub[300];
        (void)snprintf(hub, sizeof hub, "%.*s", (int)(equals - pairs->items[i]), pairs->items[i]);
        check_secret(doctor, option->name, equals + 1, hub);
    }
}

void
hv_doctor_check_credentials(hv_doctor *doctor)
{
    const hv_options *options = doctor->config->options;

    for (const hv_option *option = hv_option_table; option < hv_option_table + hv_option_count; option++) {
        const void *field = (const char *)options + option->offset;
        if (option->type == HV_OPTION_FILE_PAIRS)
            check_pairs(doctor, option, field);
        else if (option->type == HV_OPTION_SECRET_FILE && *(const char *const *)field != NULL &&
                 (options->source_auth == HV_AUTH_OAUTH || strncmp(option->name, "oauth.", 6) != 0))
            check_secret(doctor, option->name, *(const char *const *)field, NULL);
    }
    if (options->source_auth != HV_AUTH_NONE && !options->source_tls)
        hv_doctor_say(doctor, "source.tls", HV_CHECK_WARNING, "leave source.tls out, or set it to yes",
                      "the login of source.auth = %s crosses the network in clear", hv_option_find("source.auth")->words[options->source_auth]);
}
