#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>

#include "base/xalloc.h"

/* Stands in for the memory of an empty buffer; never written to. */
static char nothing[1];

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .data = nothing, .max = max };
}

void
buf_release(struct buf *b)
{
	if (b->size > 0)
		freezero(b->data, b->size);
	buf_init(b, b->max);
}

void
buf_clear(struct buf *b)
{
	if (b->size > 0)
		explicit_bzero(b->data, b->len + 1);
	b->len = 0;
	b->full = false;
}

/* Memory is moved by hand, not by realloc(), which leaves a copy behind. */
static void
move_to(struct buf *b, size_t size)
{
	char *data = xmalloc(size);

	memcpy(data, b->data, b->len);
	data[b->len] = '\0';
	if (b->size > 0)
		freezero(b->data, b->size);
	b->data = data;
	b->size = size;
}

char *
buf_room(struct buf *b, size_t len)
{
	size_t need, size;

	if (len > b->max - b->len || b->len + len == SIZE_MAX) {
		b->full = true;
		return NULL;
	}
	need = b->len + len + 1;
	if (need > b->size) {
		size = b->size < 64 ? 64 : b->size;
		while (size < need)
			size = size > SIZE_MAX / 2 ? need : size * 2;
		move_to(b, size);
	}
	return b->data + b->len;
}

void
buf_grown(struct buf *b, size_t len)
{
	if (len == 0)
		return;
	b->len += len;
	b->data[b->len] = '\0';
}

int
buf_add(struct buf *b, const void *bytes, size_t len)
{
	char *room;

	if (len == 0)
		return 0;
	if ((room = buf_room(b, len)) == NULL)
		return -1;
	memcpy(room, bytes, len);
	buf_grown(b, len);
	return 0;
}

int
buf_adds(struct buf *b, const char *text)
{
	return buf_add(b, text, strlen(text));
}

int
buf_addc(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

int
buf_addf(struct buf *b, const char *format, ...)
{
	va_list ap;
	char *room;
	int len;

	va_start(ap, format);
	len = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (len < 0 || (room = buf_room(b, (size_t)len)) == NULL) {
		b->full = true;
		return -1;
	}
	va_start(ap, format);
	(void)vsnprintf(room, (size_t)len + 1, format, ap);
	va_end(ap);
	buf_grown(b, (size_t)len);
	return 0;
}

int
buf_splice(
    struct buf *b, size_t at, size_t old_len, const void *bytes, size_t len)
{
	size_t tail = b->len - at - old_len, before = b->len;

	if (len > old_len && buf_room(b, len - old_len) == NULL)
		return -1;
	if (b->size == 0)
		return 0;
	memmove(b->data + at + len, b->data + at + old_len, tail);
	if (len > 0)
		memcpy(b->data + at, bytes, len);
	b->len = at + len + tail;
	if (b->len < before)
		explicit_bzero(b->data + b->len, before - b->len);
	b->data[b->len] = '\0';
	return 0;
}

void
buf_consume(struct buf *b, size_t len)
{
	(void)buf_splice(b, 0, len, NULL, 0);
}

char *
buf_steal(struct buf *b)
{
	char *data = b->size > 0 ? b->data : xstrdup("");

	buf_init(b, b->max);
	return data;
}
