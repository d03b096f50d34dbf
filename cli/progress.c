/* A line longer than the terminal is wide would wrap, and could not be taken back: hence the cut. */
#include "cli/progress.h"

#include <stdarg.h>
#include <sys/ioctl.h>

#include "common/clock.h"
#include "common/time_text.h"

enum { EVERY_MS = 150, BAR_WIDTH = 24, LINE_ROOM = 400, USUAL_WIDTH = 80 };

hv_progress
hv_progress_begin(const hv_cli *cli)
{
    return (hv_progress){.to = cli->notes, .wanted = cli->terminal, .begun_ms = hv_clock_boot_ms()};
}

int64_t
hv_progress_elapsed_ms(const hv_progress *progress)
{
    return hv_clock_boot_ms() - progress->begun_ms;
}

bool
hv_progress_due(const hv_progress *progress)
{
    return progress->wanted && hv_clock_boot_ms() >= progress->next_ms;
}

static size_t
terminal_width(FILE *to)
{
    struct winsize size;
    int fd = fileno(to);

    return fd >= 0 && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 10 ? size.ws_col : USUAL_WIDTH;
}

static void
put_bar(hv_buf *line, double part)
{
    hv_buf_put_byte(line, '[');
    for (int i = 0; i < BAR_WIDTH; i++)
        hv_buf_put_byte(line, i < (int)(part * BAR_WIDTH) ? '#' : '-');
    hv_buf_printf(line, "] %3d%%  ", (int)(part * 100));
}

void
hv_progress_show(hv_progress *progress, int64_t done, int64_t total, const char *fmt, ...)
{
    HV_AUTO(hv_buf_free) hv_buf line = HV_BUF_INIT(LINE_ROOM * 4);
    double part = total <= 0 ? 0 : done >= total ? 1 : done <= 0 ? 0 : (double)done / (double)total;
    int64_t elapsed = hv_progress_elapsed_ms(progress);
    char text[LINE_ROOM];
    va_list args;

    if (!hv_progress_due(progress))
        return;
    progress->next_ms = hv_clock_boot_ms() + EVERY_MS;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (total > 0)
        put_bar(&line, part);
    hv_buf_put_text(&line, text);
    if (part > 0.01 && part < 1 && elapsed > 1000)
        hv_buf_printf(&line, ", %s to go", hv_duration_round((int64_t)((double)elapsed * (1 - part) / part) / 1000 * 1000).text);
    if (line.failed != HV_OK)
        return;                         /* there is no memory even for this: the command will find out */
    size_t width = terminal_width(progress->to) - 1;
    fprintf(progress->to, "%s%.*s", HV_PROGRESS_FORGET, (int)(line.len < width ? line.len : width), line.data);
    (void)fflush(progress->to);
    progress->shown = true;
}

void
hv_progress_clear(hv_progress *progress)
{
    if (!progress->shown)
        return;
    fputs(HV_PROGRESS_FORGET, progress->to);
    (void)fflush(progress->to);
    progress->shown = false;
}
