/* Reading the events of a cut back, by offset: one reader per class, the smallest offset first. Needed only when a cut has to be
 * rebuilt or compared, so it is simple and not fast. */
#include <assert.h>
#include <stdlib.h>

#include "archiver/cut.h"

typedef struct class_reader {
    size_t next_job;
    hv_buf raw;                         /* of the block being read, if it was stored compressed */
    hv_event_reader events;
    hv_event event;
    bool has_event;
} class_reader;

struct hv_cut_reader {
    const hv_cut *cut;
    hv_block_coder *coder;
    class_reader *classes;
};

void
hv_cut_reader_free(hv_cut_reader *reader)
{
    if (reader == NULL)
        return;
    for (size_t c = 0; reader->classes != NULL && c < reader->cut->class_count; c++) {
        hv_buf_free(&reader->classes[c].raw);
        hv_event_reader_free(&reader->classes[c].events);
    }
    free(reader->classes);
    free(reader);
}

hv_rc
hv_cut_reader_new(const hv_cut *cut, hv_block_coder *coder, hv_cut_reader **ret, hv_err *err)
{
    HV_AUTO(hv_cut_reader_free) hv_cut_reader *reader = calloc(1, sizeof *reader);

    if (reader == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a reader of a cut");
    reader->cut = cut;
    reader->coder = coder;
    reader->classes = calloc(cut->class_count + 1, sizeof *reader->classes);
    if (reader->classes == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a reader of a cut");
    for (size_t c = 0; c < cut->class_count; c++) {
        reader->classes[c].raw = (hv_buf)HV_BUF_INIT(HV_BLOCK_MAX_RAW);
        reader->classes[c].events = hv_event_reader_make(hv_slice_text(""));
    }
    *ret = HV_TAKE(reader);
    return HV_OK;
}

static hv_rc
open_next_block(hv_cut_reader *reader, size_t c, hv_err *err)
{
    class_reader *class = &reader->classes[c];
    const hv_block_job *job = reader->cut->classes[c].jobs[class->next_job++];

    if (job->block.stored == NULL) {
        hv_event_reader_reset(&class->events, hv_buf_slice(&job->raw));
        return HV_OK;
    }
    hv_rc rc = hv_block_open(reader->coder, job->format->codec, job->format->sync, &job->block.ref,
                             hv_slice_of(job->block.stored, job->block.ref.length), &class->raw, err);
    if (rc == HV_OK)
        hv_event_reader_reset(&class->events, hv_buf_slice(&class->raw));
    return rc;
}

/* Makes sure that the class has its next event at hand, if there is one. */
static hv_rc
fill(hv_cut_reader *reader, size_t c, hv_err *err)
{
    class_reader *class = &reader->classes[c];
    hv_rc rc = HV_OK;

    while (rc == HV_OK && !class->has_event) {
        if (hv_event_reader_more(&class->events)) {
            rc = hv_event_reader_next(&class->events, &class->event, err);
            class->has_event = rc == HV_OK;
        } else if (class->next_job < reader->cut->classes[c].job_count) {
            rc = open_next_block(reader, c, err);
        } else {
            return HV_OK;
        }
    }
    return rc;
}

hv_rc
hv_cut_reader_next(hv_cut_reader *reader, hv_event *ret, const char **class_name, hv_err *err)
{
    class_reader *first = NULL;

    for (size_t c = 0; c < reader->cut->class_count; c++) {
        hv_rc rc = fill(reader, c, err);
        if (rc != HV_OK)
            return rc;
        class_reader *class = &reader->classes[c];
        if (class->has_event && (first == NULL || class->event.offset < first->event.offset)) {
            first = class;
            *class_name = reader->cut->classes[c].name;
        }
    }
    if (first == NULL)
        return hv_err_set(err, HV_NOT_FOUND, "behind the last event of the cut");
    *ret = first->event;
    first->has_event = false;
    return HV_OK;
}
