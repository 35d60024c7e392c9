/* Sign-in with the browser of this machine: it comes back to a listener of
 * ours on the loopback interface, and is shown there how it ended.
 */
#include <ctype.h>

#include "account/config.h"
#include "auth/listener.h"
#include "auth/page.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "outpost/login.h"
#include "outpost/show.h"
#include "smtp/wait.h"

struct by_browser {
	struct login_courier courier;
	struct listener *listener;
	struct login *login; /* for the waiter's hook */
};

static void
show_address(const struct login *l, const char *url)
{
	printf("To sign in %s, with a browser on this machine, open\n\n"
	       "  %s%s%s\n\n",
	    l->account->mailbox, show_style(SHOW_BOLD), url,
	    show_style(SHOW_PLAIN));
	login_show_whom(l);
	printf("It waits for %d minutes; Ctrl-C gives up.\n",
	    (int)LOGIN_SECONDS / 60);
	(void)fflush(stdout);
}

static void
note_failure(struct login *l)
{
	if (!browser_failed(&l->browser))
		return;
	show_waited();
	(void)fprintf(stderr,
	    "note: no browser could be opened; open the address in one on "
	    "this machine, or use --device or --paste\n");
}

static void
send_by_browser(
    struct login_courier *courier, struct login *l, const char *url, int round)
{
	const struct by_browser *b = (struct by_browser *)courier;
	struct buf answer;

	if (round == 0) {
		browser_open(&l->browser, url);
		show_address(l, url);
		note_failure(l);
		return;
	}
	buf_init(&answer, PAGE_MAX);
	page_forward(&answer, url);
	listener_answer(b->listener, &answer);
	buf_release(&answer);
}

/* About once a second. */
static bool
while_waiting(void *arg)
{
	struct by_browser *b = arg;

	note_failure(b->login);
	show_waiting(b->login->end - file_now());
	return true;
}

static int
receive_by_browser(struct login_courier *courier, struct login *l,
    const char *state, struct redirect *out, struct error *err)
{
	struct by_browser *b = (struct by_browser *)courier;
	const struct waiter waiter = { while_waiting, b };
	int result =
	    listener_wait(b->listener, state, l->end, &waiter, out, err);

	show_waited();
	if (result == -1 && file_now() >= l->end)
		login_too_late(l, err);
	return result;
}

/* Sentences begin small where the program's name stands before them. */
static void
add_sentence(struct buf *out, const char *text)
{
	buf_addc(out, (char)toupper((unsigned char)*text));
	if (*text != '\0')
		buf_addf(out, "%s.", text + 1);
}

static void
end_by_browser(
    struct login_courier *courier, struct login *l, const struct error *failure)
{
	const struct by_browser *b = (struct by_browser *)courier;
	char note[LOGIN_NOTE_SIZE];
	struct page page = { .status = 200, .good = failure == NULL };
	struct buf answer, text, hint;

	buf_init(&answer, PAGE_MAX);
	buf_init(&text, ERROR_TEXT_SIZE * 2);
	buf_init(&hint, ERROR_HINT_SIZE * 2);
	if (failure == NULL) {
		page.title = "Signed in";
		buf_addf(&text,
		    "Mail can go out through %s. You can close this window.",
		    l->account->mailbox);
		if (*login_note(l, note) != '\0')
			add_sentence(&hint, note);
	} else {
		page.title = "Not signed in";
		add_sentence(&text, failure->text);
		if (failure->hint[0] != '\0')
			add_sentence(&hint, failure->hint);
	}
	page.text = text.data;
	page.hint = hint.data;
	page_answer(&answer, &page);
	listener_answer(b->listener, &answer);
	buf_release(&hint);
	buf_release(&text);
	buf_release(&answer);
}

int
login_browser(struct login *l, struct error *err)
{
	struct by_browser b = { .login = l,
		.courier = {
		    send_by_browser, receive_by_browser, end_by_browser } };
	int result;

	if ((b.listener = listener_new(err)) == NULL)
		return -1;
	result = login_code(l, &b.courier, listener_uri(b.listener), err);
	listener_free(b.listener);
	return result;
}
