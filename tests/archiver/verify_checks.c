#include "tests/archiver/verify_checks.h"

#include <stdio.h>

#include "segment/names.h"

told_findings told;

void
tell_finding(void *arg, const hv_finding *finding)
{
    size_t len = strlen(told.all);

    (void)arg;
    told.count++;
    told.last = *finding;
    (void)snprintf(told.all + len, sizeof told.all - len, "\n%s %s offset %lld: expected %s, found %s", hv_finding_id(finding->kind),
                   finding->blob, (long long)finding->offset, finding->expected, finding->found);
}

hv_rc
verify_vault(vault_maker *m, bool quick, hv_verify_facts *facts, hv_err *err)
{
    hv_verify_config config = {.storage = m->storage, .vault = MAKER_VAULT, .index = m->index, .quick = quick, .threads = 3,
        .report = tell_finding};

    told = (told_findings){.count = 0};
    return hv_verify(&config, facts, err);
}

void
ck_clean(vault_maker *m, bool quick, hv_verify_facts *facts)
{
    hv_err err;
    hv_rc rc = verify_vault(m, quick, facts, &err);

    ck_assert_msg(rc == HV_OK && told.count == 0, "%s: %s%s", hv_rc_name(rc), rc == HV_OK ? "" : err.msg, told.all);
}

void
ck_one(vault_maker *m, bool quick, hv_finding_kind kind, const char *blob)
{
    hv_verify_facts facts;
    hv_err err;

    ck_hv_fails(HV_GAP, verify_vault(m, quick, &facts, &err));
    ck_assert_msg(told.count == 1, "%d findings, quick %d:%s", told.count, quick, told.all);
    ck_assert_msg(told.last.kind == kind, "wanted %s:%s", hv_finding_id(kind), told.all);
    ck_assert_int_eq(facts.findings, 1);
    ck_assert_int_eq(facts.by_kind[kind], 1);
    ck_assert_str_eq(told.last.blob, blob);
    ck_assert_str_ne(told.last.expected, "");
    ck_assert_str_ne(told.last.found, "");
}

void
ck_finds(vault_maker *m, hv_finding_kind kind, const char *blob)
{
    ck_one(m, false, kind, blob);
    ck_one(m, true, kind, blob);
}

void
ck_finds_in_depth(vault_maker *m, hv_finding_kind kind, const char *blob)
{
    hv_verify_facts facts;

    ck_one(m, false, kind, blob);
    ck_clean(m, true, &facts);
}

static hv_partition
orders0(void)
{
    return maker_partition("orders", 1, 0);
}

void
make_three_cuts(vault_maker *m)
{
    hv_partition partition = orders0();

    maker_claim(m, "orders", 1);
    m->block_bytes = 64 << 10;
    for (int64_t at = 0; at < 18; at += 6)
        maker_cut(m, &partition, at, "ddrrdd");
}

const char *
lead_at(int64_t first)
{
    static hv_blob_name name;
    hv_partition partition = orders0();

    name = hv_name_of_lead(&partition, first);
    return name.text;
}

const char *
sibling_at(int64_t first)
{
    static hv_blob_name name;
    hv_partition partition = orders0();

    name = hv_name_of_sibling(&partition, first, "red");
    return name.text;
}

const char *
record_of(uint32_t incarnation)
{
    static hv_blob_name name;

    name = hv_name_of_incarnation("orders", incarnation);
    return name.text;
}
