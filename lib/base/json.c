#include "base/json.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/xalloc.h"

/* A comma, unless what comes is the first of something. */
static void
separate(struct buf *out)
{
	if (out->len > 0 && strchr("{[:", out->data[out->len - 1]) == NULL)
		(void)buf_addc(out, ',');
}

static void
add_string(struct buf *out, const char *text)
{
	size_t size = 4 * strlen(text) + 1;
	char *clean = xcalloc(1, size);

	(void)buf_addc(out, '"');
	for (const char *c = log_clean(clean, size, text); *c != '\0'; c++) {
		if (*c == '"' || *c == '\\')
			(void)buf_addc(out, '\\');
		(void)buf_addc(out, *c);
	}
	(void)buf_addc(out, '"');
	free(clean);
}

void
json_open(struct buf *out, char bracket)
{
	separate(out);
	(void)buf_addc(out, bracket);
}

void
json_close(struct buf *out, char bracket)
{
	(void)buf_addc(out, bracket);
}

void
json_name(struct buf *out, const char *name)
{
	separate(out);
	add_string(out, name);
	(void)buf_addc(out, ':');
}

static void
begin_value(struct buf *out, const char *name)
{
	if (name != NULL)
		json_name(out, name);
	else
		separate(out);
}

void
json_text(struct buf *out, const char *name, const char *value)
{
	begin_value(out, name);
	add_string(out, value);
}

void
json_number(struct buf *out, const char *name, long long value)
{
	begin_value(out, name);
	(void)buf_addf(out, "%lld", value);
}

void
json_bool(struct buf *out, const char *name, bool value)
{
	begin_value(out, name);
	(void)buf_adds(out, value ? "true" : "false");
}
