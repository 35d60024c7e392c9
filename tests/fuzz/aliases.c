/* Any bytes as a file of aliases, and as an include: each name is expanded or
 * refused, and no target is a place that mail must not be sent to. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "mail/address.h"
#include "mail/aliases.h"

struct input {
	const char *text;
	size_t len;
};

#define WORK_MAX ((size_t)1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_local(void *arg, const struct mailbox *m)
{
	(void)arg;
	return m->domain == NULL;
}

static int
include(void *arg, const char *path, struct buf *out, struct error *err)
{
	const struct input *input = arg;

	(void)path;
	(void)err;
	return buf_add(out, input->text, input->len);
}

static void
note(void *arg, bool mistake, const char *sentence)
{
	(void)arg;
	(void)mistake;
	if (strlen(sentence) >= ERROR_TEXT_SIZE)
		abort();
}

static void
check_targets(struct mailbox_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].local == NULL)
			abort();
	mailbox_list_release(list);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { (const char *)data, size };
	size_t left = WORK_MAX, mistakes;
	const struct aliases_rules rules = { is_local, include, note, &left,
		&input };
	static const char *const names[] = { "root", "a", "b+c", "", "\"" };
	struct aliases *aliases = aliases_new();
	struct mailbox_list list;
	struct error err;

	(void)aliases_parse(aliases, "f", input.text, input.len, &rules);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		mailbox_list_init(&list);
		(void)aliases_expand(aliases, names[i], &rules, &list, &err);
		check_targets(&list);
	}
	(void)aliases_check(aliases, &rules, &mistakes, &err);
	aliases_free(aliases);
	return 0;
}
