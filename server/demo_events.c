#include "server/demo_events.h"

#include <stdio.h>

#include "common/time_text.h"

const hv_demo_hub hv_demo_hubs[HV_DEMO_HUBS] = {
    {"account", "customer"}, {"contact", "customer"}, {"product", "product"}, {"lead", "conversion"}, {"sale", "conversion"},
};

static const struct {
    int hub;                            /* of hv_demo_hubs */
    const char *name, *key, *body;
} rows[HV_DEMO_EVENTS] = {
    {2, "ProductUpdated", "product/home-plus",
     "{\"productId\":\"home-plus\",\"sku\":\"HP-3\",\"name\":\"Home Plus\",\"version\":3,\"price\":{\"amount\":\"24.90\",\"currency\":\"EUR\"},"
     "\"validFrom\":\"2026-12-01\",\"changedFields\":[\"price\"]}"},
    {0, "AccountActivated", "account/7001",
     "{\"accountId\":\"7001\",\"ownerContactId\":\"c-501\",\"email\":\"ada@example.org\",\"channel\":\"WEB\"}"},
    {1, "ContactActivated", "contact/c-501",
     "{\"contactId\":\"c-501\",\"accountId\":\"7001\",\"givenName\":\"Ada\",\"familyName\":\"Berg\",\"email\":\"ada@example.org\","
     "\"phone\":null,\"dateOfBirth\":\"1984-05-02\",\"marketingConsent\":true}"},
    {3, "LeadGenerated", "lead/l-9001",
     "{\"leadId\":\"l-9001\",\"contactId\":\"c-501\",\"productId\":\"home-plus\",\"source\":\"newsletter\"}"},
    {1, "ContactAbandonedQuote", "contact/c-501",
     "{\"contactId\":\"c-501\",\"quoteId\":\"q-31\",\"productId\":\"home-plus\",\"quoted\":{\"amount\":\"24.90\",\"currency\":\"EUR\"}}"},
    {4, "SalesFileReceived", "sale/f-77",
     "{\"fileId\":\"f-77\",\"partnerId\":\"p-4\",\"fileName\":\"sales-w48.csv\",\"rowCount\":1184,"
     "\"sha256\":\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"}"},
    {4, "SaleConfirmed", "sale/s-300",
     "{\"saleId\":\"s-300\",\"leadId\":\"l-9001\",\"fileId\":null,\"contactId\":\"c-501\",\"productId\":\"home-plus\","
     "\"price\":{\"amount\":\"24.90\",\"currency\":\"EUR\"}}"},
    {1, "ContactPurchased", "contact/c-501",
     "{\"contactId\":\"c-501\",\"purchaseId\":\"b-12\",\"productId\":\"home-plus\",\"paid\":{\"amount\":\"24.90\",\"currency\":\"EUR\"},"
     "\"contractStart\":\"2026-12-01\",\"contractEnd\":\"2027-11-30\"}"},
    {3, "LeadFailed", "lead/l-9002", "{\"leadId\":\"l-9002\",\"contactId\":\"c-502\",\"reason\":\"no answer\"}"},
    {1, "ContactProductExpired", "contact/c-502", "{\"contactId\":\"c-502\",\"productId\":\"travel\",\"purchaseId\":\"b-3\"}"},
    {0, "AccountDeactivated", "account/6900", "{\"accountId\":\"6900\",\"ownerContactId\":\"c-502\",\"reason\":\"on request\"}"},
    {1, "ContactDeactivated", "contact/c-502", "{\"contactId\":\"c-502\",\"reason\":\"moved\",\"erasureRequested\":true}"},
};

/* The key names the aggregate, so its events stay in one partition and in order. */
static int32_t
partition_of(const char *key)
{
    unsigned sum = 0;

    for (; *key != '\0'; key++)
        sum = sum * 31 + (unsigned char)*key;
    return (int32_t)(sum % HV_DEMO_PARTITIONS);
}

static void
finish(hv_demo_event *made, const char *key, int64_t at_ms)
{
    const char *const names[HV_DEMO_HEADERS] = {"ce_specversion", "ce_type", "ce_source", "ce_id", "ce_subject", "ce_time",
                                                "content-type"};
    const char *const values[HV_DEMO_HEADERS] = {"1.0", made->type, made->source, made->id, made->subject, made->time,
                                                 "application/json"};

    (void)snprintf(made->type, sizeof made->type, "uk.example.%s.%s.v1.%s", made->team, made->hub, made->name);
    (void)snprintf(made->source, sizeof made->source, "/teams/%s/%s", made->team, made->hub);
    (void)snprintf(made->subject, sizeof made->subject, "%s", key);
    (void)snprintf(made->time, sizeof made->time, "%s", hv_time_format(at_ms).text);
    for (size_t h = 0; h < HV_DEMO_HEADERS; h++)
        made->headers[h] = (hv_header){.name = hv_slice_text(names[h]), .value = hv_slice_text(values[h])};
    made->partition = partition_of(key);
    made->event = (hv_event){.timestamp_ms = at_ms, .timestamp_type = HV_TIMESTAMP_CREATE, .key = hv_slice_text(made->subject),
        .value = hv_slice_text(made->body), .headers = made->headers, .header_count = HV_DEMO_HEADERS};
}

void
hv_demo_event_make(int i, int64_t from_ms, hv_demo_event *ret)
{
    *ret = (hv_demo_event){.hub = hv_demo_hubs[rows[i].hub].name, .team = hv_demo_hubs[rows[i].hub].team, .name = rows[i].name};
    (void)snprintf(ret->body, sizeof ret->body, "%s", rows[i].body);
    (void)snprintf(ret->id, sizeof ret->id, "demo-%02d", i + 1);
    finish(ret, rows[i].key, from_ms + i * INT64_C(300000));
}

void
hv_demo_lead_make(int i, int64_t from_ms, hv_demo_event *ret)
{
    char key[32];

    *ret = (hv_demo_event){.hub = hv_demo_hubs[3].name, .team = hv_demo_hubs[3].team, .name = "LeadGenerated"};
    (void)snprintf(key, sizeof key, "lead/l-%d", 10000 + i);
    (void)snprintf(ret->body, sizeof ret->body, "{\"leadId\":\"l-%d\",\"contactId\":\"c-%d\",\"productId\":\"travel\",\"source\":\"partner\"}",
                   10000 + i, 600 + i % 97);
    (void)snprintf(ret->id, sizeof ret->id, "lead-%d", i);
    finish(ret, key, from_ms + i * INT64_C(1000));
}
