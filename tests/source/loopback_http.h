/* An HTTP server on loopback, in a thread, that answers as it was told and remembers what it was asked. */
#ifndef HV_TESTS_SOURCE_LOOPBACK_HTTP_H
#define HV_TESTS_SOURCE_LOOPBACK_HTTP_H

typedef struct loopback_http loopback_http;

/* Start it inside a test or a checked fixture. */
loopback_http *loopback_http_start(void);
void loopback_http_stop(loopback_http *http);

/* "http://127.0.0.1:<port>" */
const char *loopback_http_url(const loopback_http *http);

/* The next answer; the last one is given again and again. `headers` are whole lines ending in \r\n, or "". */
void loopback_http_answer(loopback_http *http, int status, const char *headers, const char *body, int delay_ms);

int loopback_http_count(loopback_http *http);
/* Head and body of the n-th request, from 0; NULL if there was none. Stays until the stop. */
const char *loopback_http_asked(loopback_http *http, int n);

#endif
