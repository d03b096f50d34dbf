#include "tests/archiver/crew.h"

#include <unistd.h>

crew *
crew_make(int32_t partitions)
{
    crew *c = calloc(1, sizeof *c);
    hv_err err;

    ck_assert_ptr_nonnull(c);
    for (int i = 0; i < CREW; i++) {
        rig *r = c->rigs[i] = malloc(sizeof *r);
        ck_assert_ptr_nonnull(r);
        rig_setup(r);
        hv_scripted_hub(r->source, RIG_HUB, partitions, "topic-1");
        c->store = c->rigs[0]->storage;
        c->gates[i] = gate_open(c->store);
        ck_hv_ok(hv_membership_scripted_open(&c->memberships[i], &err));
        r->config.sources = &r->source;
        r->config.memberships = &c->memberships[i];
        r->config.storage = c->gates[i];
        r->config.follow_ms = 20;
    }
    return c;
}

void
crew_free(crew *c)
{
    hv_err err;

    for (int i = 0; i < CREW; i++)
        if (c->archivers[i] != NULL) {
            gate_set(c->gates[i], GATE_OPEN);
            (void)!crew_stop(c, i, &err);
        }
    for (int i = CREW; i-- > 0;) {
        hv_membership_close(c->memberships[i]);
        hv_storage_close(c->gates[i]);
        rig_teardown(c->rigs[i]);
        free(c->rigs[i]);
    }
    free(c);
}

void
crew_start(crew *c, int who)
{
    hv_err err;

    ck_assert_ptr_null(c->archivers[who]);
    c->rigs[who]->config.once = false;
    c->rigs[who]->config.memberships = &c->memberships[who];
    ck_hv_ok(hv_archiver_start(&c->rigs[who]->config, &c->archivers[who], &err));
}

hv_rc
crew_stop(crew *c, int who, hv_err *err)
{
    hv_archiver_stop(c->archivers[who]);
    hv_rc rc = hv_archiver_join(c->archivers[who], NULL, err);
    hv_err ignored;

    c->archivers[who] = NULL;
    hv_membership_close(c->memberships[who]);
    (void)!hv_membership_scripted_open(&c->memberships[who], &ignored);
    return rc;
}

void
crew_produce(crew *c, int32_t partition, int count)
{
    rig_produce_everywhere(c->rigs, CREW, 1, partition, count);
}

hv_archiver_totals
crew_totals(crew *c, int who)
{
    hv_archiver_totals totals = {0};

    hv_archiver_totals_read(c->archivers[who], &totals);
    return totals;
}

void
crew_wait_read(crew *c, int who, int64_t events)
{
    for (int ms = 0; ms < CREW_WAIT_MS && crew_totals(c, who).events < events; ms += 2)
        usleep(2000);
    ck_assert_int_eq(crew_totals(c, who).events, events);
}

void
crew_wait_position(crew *c, int who, uint32_t incarnation, int32_t partition, int64_t position)
{
    for (int ms = 0; ms < CREW_WAIT_MS && rig_position(c->rigs[who], incarnation, partition) < position; ms += 2)
        usleep(2000);
    ck_assert_int_eq(rig_position(c->rigs[who], incarnation, partition), position);
}

void
crew_wait_released(crew *c, int who, uint64_t revocation)
{
    for (int ms = 0; ms < CREW_WAIT_MS && !hv_scripted_is_released(c->memberships[who], revocation); ms += 2)
        usleep(2000);
    ck_assert(hv_scripted_is_released(c->memberships[who], revocation));
}

void
crew_take_back(crew *c, int who, int64_t release_ms)
{
    crew_wait_released(c, who, hv_scripted_revoke(c->memberships[who], RIG_HUB, 0, 1, release_ms));
}

static void
put_line(void *arg, const char *line)
{
    hv_buf *to = arg;

    hv_buf_printf(to, "%s\n", line);
}

bool
crew_equal(crew *c, int a, int b)
{
    HV_AUTO(hv_buf_free) hv_buf of_a = HV_BUF_INIT(64 << 20), of_b = HV_BUF_INIT(64 << 20);
    hv_err err;

    ck_hv_ok(hv_index_dump(c->rigs[a]->index, put_line, &of_a, &err));
    ck_hv_ok(hv_index_dump(c->rigs[b]->index, put_line, &of_b, &err));
    ck_hv_ok(hv_buf_check(&of_a, &err));
    ck_hv_ok(hv_buf_check(&of_b, &err));
    return of_a.len > 0 && of_a.len == of_b.len && memcmp(of_a.data, of_b.data, of_a.len) == 0;
}

/* rig_check...() reads the store of the rig. */
static void
check_one(crew *c, int who)
{
    hv_storage *own = c->rigs[who]->storage;

    c->rigs[who]->storage = c->store;
    rig_check_all_captured(c->rigs[who]);
    c->rigs[who]->storage = own;
}

void
crew_check(crew *c, bool settle)
{
    hv_err err;

    for (int i = 0; i < CREW; i++) {
        gate_set(c->gates[i], GATE_OPEN);
        if (c->archivers[i] != NULL)
            ck_hv_ok(crew_stop(c, i, &err));
    }
    for (int i = 0; settle && i < CREW; i++) {
        hv_archiver_config kept = c->rigs[i]->config;
        c->rigs[i]->config.memberships = NULL;
        c->rigs[i]->config.follow_ms = 0;
        ck_hv_ok(rig_run_once(c->rigs[i], c->store, &err));
        c->rigs[i]->config = kept;
    }
    for (int i = 0; i < CREW; i++)
        check_one(c, i);
    for (int i = 1; i < CREW; i++)
        ck_assert_msg(crew_equal(c, 0, i), "index %d differs from that of the first", i);
}
