#include <stdarg.h>

#include "account/config.h"
#include "base/json.h"
#include "outpost/check.h"
#include "outpost/outpost.h"
#include "outpost/show.h"

#define JSON_MAX (1024u * 1024)
#define VERDICT_WIDTH 10
#define STEP_WIDTH 9
#define LABEL_WIDTH 8

static const struct {
	const char *name, *shown;
	enum show_colour colour;
} verdicts[] = {
	[CHECK_OK] = { "ok", "ok", SHOW_GREEN },
	[CHECK_SKIPPED] = { "skipped", "skipped", SHOW_DIM },
	[CHECK_UNSEEN] = { "unseen", "not seen", SHOW_YELLOW },
	[CHECK_WARNING] = { "warning", "warning", SHOW_YELLOW },
	[CHECK_FAILED] = { "failed", "FAILED", SHOW_RED },
};

void
check_begin(struct check *c)
{
	buf_init(&c->out, JSON_MAX);
	json_open(&c->out, '{');
	json_name(&c->out, "steps");
	json_open(&c->out, '[');
}

static void
show_detail(const char *label, const char *text)
{
	if (*text == '\0')
		return;
	printf("%*s", VERDICT_WIDTH + STEP_WIDTH, "");
	show(SHOW_DIM, LABEL_WIDTH, label);
	show(SHOW_PLAIN, 0, text);
	printf("\n");
}

static void
show_finding(const struct check *c, const struct finding *f)
{
	show(verdicts[f->verdict].colour, VERDICT_WIDTH,
	    verdicts[f->verdict].shown);
	show(SHOW_BOLD, STEP_WIDTH, c->step);
	show(SHOW_PLAIN, 0, f->text);
	printf("\n");
	show_detail("server", f->server);
	show_detail("cause", f->cause);
	show_detail("to do", f->hint);
	(void)fflush(stdout);
}

static void
put_finding(struct check *c, const struct finding *f)
{
	json_open(&c->out, '{');
	json_text(&c->out, "step", c->step);
	json_text(&c->out, "verdict", verdicts[f->verdict].name);
	json_text(&c->out, "text", f->text);
	json_text(&c->out, "server", f->server);
	json_text(&c->out, "cause", f->cause);
	json_text(&c->out, "hint", f->hint);
	json_close(&c->out, '}');
}

void
check_report(struct check *c, const struct finding *f)
{
	c->found[f->verdict]++;
	if (c->json)
		put_finding(c, f);
	else
		show_finding(c, f);
}

void
check_put(char out[CHECK_TEXT_SIZE], const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(out, CHECK_TEXT_SIZE, format, ap);
	va_end(ap);
}

void
check_say(struct check *c, enum check_verdict verdict, const char *format, ...)
{
	struct finding f = { .verdict = verdict };
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(f.text, sizeof(f.text), format, ap);
	va_end(ap);
	check_report(c, &f);
}

int
check_end(struct check *c)
{
	const char *result = "ok";
	int code = 0;

	if (c->found[CHECK_FAILED] > 0) {
		result = "failed";
		code = 2;
	} else if (c->found[CHECK_WARNING] + c->found[CHECK_UNSEEN] > 0) {
		result = "warning";
		code = 1;
	}
	json_close(&c->out, ']');
	json_text(
	    &c->out, "account", c->account != NULL ? c->account->mailbox : "");
	json_text(&c->out, "result", result);
	json_close(&c->out, '}');
	if (c->json)
		printf("%s\n", c->out.data);
	else
		printf("\nok: %zu, failed: %zu, warnings: %zu, skipped: %zu, "
		       "not seen: %zu\n",
		    c->found[CHECK_OK], c->found[CHECK_FAILED],
		    c->found[CHECK_WARNING], c->found[CHECK_SKIPPED],
		    c->found[CHECK_UNSEEN]);
	buf_release(&c->out);
	return code;
}
