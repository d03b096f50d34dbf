/*
 * Connection strings of Azure Event Hubs:
 *   Endpoint=sb://<namespace>/;SharedAccessKeyName=<name>;SharedAccessKey=<key>[;EntityPath=<hub>]
 * (learn.microsoft.com/azure/event-hubs/event-hubs-get-connection-string). The whole text is the password of SASL PLAIN.
 */
#ifndef HV_SOURCE_CONNECTION_STRING_H
#define HV_SOURCE_CONNECTION_STRING_H

#include "common/partition.h"
#include "common/secret.h"

typedef struct hv_connection_string {
    char host[256];                     /* without scheme, port and path */
    char key_name[257];
    char entity_path[HV_HUB_SIZE];      /* empty: all hubs of the namespace */
    bool emulator;                      /* UseDevelopmentEmulator=true: no TLS */
    hv_secret key;
} hv_connection_string;

void hv_connection_string_clear(hv_connection_string *string);
HV_DEFINE_AUTO_VALUE(hv_connection_string, hv_connection_string_clear);

/* HV_USAGE, with a message that holds no part of the text but the names of its fields; HV_NOMEM. *ret is written on success
 * only. */
hv_rc hv_connection_string_parse(const char *text, hv_connection_string *ret, hv_err *err) HV_MUST_USE;

#endif
