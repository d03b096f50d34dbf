/*
 * A marker counts in any case of letters. The secret is everything up to a character that no credential contains where it stands
 * (a connection string ends its parts with ';', a form and a query with '&', JSON and messages with quotes or blanks), so "=" at the end
 * of base64 goes with it.
 */
#include "common/redact.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

static const char *const markers[] = {"sharedaccesskey=", "sharedaccesssignature=", "sharedaccesssignature ", "sig=", "accountkey=",
                                      "password=", "client_secret=", "client_assertion=", "access_token=", "access_token\":\"",
                                      "bearer ", "basic "};

/* Length of the marker that begins at `at`, 0 if none does. */
static size_t
marker_len(const char *at)
{
    for (size_t i = 0; i < sizeof markers / sizeof *markers; i++)
        if (strncasecmp(at, markers[i], strlen(markers[i])) == 0)
            return strlen(markers[i]);
    return 0;
}

void
hv_redact(char *text)
{
    char *to = text;

    for (const char *at = text; *at != '\0';) {
        size_t len = marker_len(at);
        if (len == 0) {
            *to++ = *at++;
            continue;
        }
        memmove(to, at, len);
        to += len, at += len;
        size_t secret = strcspn(at, ";&'\" \t\r\n,");
        size_t stars = secret < 3 ? secret : 3;
        memcpy(to, "***", stars);
        to += stars, at += secret;
    }
    *to = '\0';
}
