#include "server/service_http.h"

#include <string.h>

#include "server/health.h"
#include "server/log_events.h"
#include "server/metrics.h"
#include "server/status_json.h"

static const char json_type[] = "application/json";

static void
answer_healthz(const hv_service_facts *facts, hv_http_reply *reply)
{
    if (!hv_health_alive(facts, reply->body))
        reply->status = 503;
}

static void
answer_readyz(const hv_service_facts *facts, hv_http_reply *reply)
{
    reply->type = json_type;
    if (!hv_health_ready(facts, reply->body))
        reply->status = 503;
}

/* What has no memory is told by the buffer. */
static void
answer_metrics(const hv_service_facts *facts, hv_http_reply *reply)
{
    hv_err err;

    reply->type = "text/plain; version=0.0.4; charset=utf-8";
    if (hv_metrics_render(facts, reply->body, &err) != HV_OK)
        reply->status = 500;
}

static void
answer_status(const hv_service_facts *facts, hv_http_reply *reply)
{
    hv_err err;

    reply->type = json_type;
    if (hv_status_json(facts, reply->body, &err) != HV_OK)
        reply->status = 500;
}

static void
answer_list(const hv_service_facts *facts, hv_http_reply *reply)
{
    hv_buf_printf(reply->body, "hubvault " HUBVAULT_VERSION ", %s\n\n"
                  "/healthz  200 while every thread gets on\n"
                  "/readyz   200 while it captures, else why not\n"
                  "/metrics  for Prometheus\n"
                  "/status   everything, as JSON\n", hv_service_phase_text(facts->phase));
}

static const struct path_row {
    const char *path;
    void (*answer)(const hv_service_facts *facts, hv_http_reply *reply);
} pages[] = {
    {"/", answer_list},
    {"/healthz", answer_healthz},
    {"/readyz", answer_readyz},
    {"/metrics", answer_metrics},
    {"/status", answer_status},
};

static bool
answer(void *arg, const char *path, hv_http_reply *reply)
{
    HV_AUTO(hv_service_facts_clear) hv_service_facts facts = {.options = NULL};
    hv_err err;

    for (size_t p = 0; p < sizeof pages / sizeof *pages; p++) {
        if (strcmp(pages[p].path, path) != 0)
            continue;
        if (hv_service_facts_read(arg, &facts, &err) == HV_OK)
            pages[p].answer(&facts, reply);
        else {
            reply->status = 500;
            hv_buf_printf(reply->body, "%s\n", err.msg);
        }
        return true;
    }
    return false;
}

static void
answered(void *arg, unsigned status)
{
    hv_board_answered(arg, status);
}

static bool
was_chosen(const hv_options *options)
{
    return options->origins[hv_option_find("http.listen") - hv_option_table].layer != HV_OPTION_DEFAULT;
}

hv_rc
hv_service_http_start(hv_board *board, const hv_options *options, bool once, hv_log *log, hv_http_server **ret, hv_err *err)
{
    hv_http_server_config config = {.listen = options->http_listen, .answer = answer, .answered = answered, .arg = board};
    hv_http_server *server = NULL;
    bool chosen = was_chosen(options);

    *ret = NULL;
    if (strcmp(options->http_listen, "off") == 0 || (once && !chosen))
        return HV_OK;
    hv_rc rc = hv_http_server_start(&config, &server, err);
    if (rc == HV_BUSY && !chosen) {
        HV_LINE(log, HTTP_OFF, HV_LOG_T("error", err->msg));
        return HV_OK;
    }
    if (rc == HV_BUSY)
        return hv_err_set(err, HV_BUSY, "somebody else listens on http.listen = '%s' already: choose another port, 0 for any that is free, or "
                          "off", options->http_listen);
    if (rc != HV_OK)
        return hv_err_prefix(err, "http.listen");
    HV_LINE(log, HTTP_LISTENING, HV_LOG_T("address", hv_http_server_address(server)));
    *ret = server;
    return HV_OK;
}
