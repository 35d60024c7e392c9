/* Sign-in by a device code (RFC 8628): an address and a code for a browser on
 * any machine, while we ask whether it was entered.
 */
#include <time.h>

#include "account/config.h"
#include "base/error.h"
#include "base/file.h"
#include "outpost/login.h"
#include "outpost/show.h"

/* Nobody can enter a code that is not seen: then there is nothing to wait
 * for. */
static int
show_code(
    const struct login *l, const struct oauth_device *device, struct error *err)
{
	const char *bold = show_style(SHOW_BOLD);
	const char *plain = show_style(SHOW_PLAIN);

	printf("To sign in %s, with a browser on any machine:\n\n"
	       "  open   %s%s%s\n"
	       "  enter  %s%s%s\n\n",
	    l->account->mailbox, bold, device->uri, plain, bold,
	    device->user_code, plain);
	login_show_whom(l);
	printf("The code is good for %lld minutes; Ctrl-C gives up.\n",
	    (device->expires_in + 59) / 60);
	return outpost_flush(err);
}

/* Until the next poll is due, with the time that is left shown. */
static void
pause_for(const struct login *l, double seconds)
{
	double until = file_now() + seconds, now;

	if (until > l->end)
		until = l->end;
	while ((now = file_now()) < until) {
		double step = until - now < 1 ? until - now : 1;
		struct timespec pause = { .tv_sec = (time_t)step };

		pause.tv_nsec = (long)((step - (double)pause.tv_sec) * 1e9);
		show_waiting(l->end - now);
		(void)nanosleep(&pause, NULL);
	}
}

/* Each time that the network fails we ask half as often (section 3.5). */
static int
poll_once(struct login *l, const struct oauth_device *device,
    enum oauth_poll *state, unsigned *interval, struct error *err)
{
	struct error why;

	if (oauth_device_poll(&l->oauth, device->device_code.data,
		file_now() + LOGIN_REQUEST_SECONDS, &l->token, state,
		&why) == 0)
		return 0;
	if (why.class != ERROR_RETRY && why.class != ERROR_THROTTLED) {
		*err = why;
		return -1;
	}
	*state = OAUTH_POLL_PENDING;
	*interval *= 2;
	if (why.retry_after > *interval)
		*interval = why.retry_after;
	return 0;
}

static int
wait_for_person(
    struct login *l, const struct oauth_device *device, struct error *err)
{
	unsigned interval =
	    device->interval < 1 ? 1 : (unsigned)device->interval;
	enum oauth_poll state = OAUTH_POLL_PENDING;

	l->end = file_now() + (double)device->expires_in;
	while (file_now() < l->end) {
		pause_for(l, interval);
		if (poll_once(l, device, &state, &interval, err) == -1)
			return -1;
		if (state == OAUTH_POLL_DONE)
			return 0;
		if (state == OAUTH_POLL_SLOW_DOWN)
			interval += OAUTH_SLOW_DOWN;
	}
	return login_too_late(l, err);
}

int
login_device(struct login *l, struct error *err)
{
	struct oauth_device device;
	int result = -1;

	oauth_device_init(&device);
	if (oauth_device_start(&l->oauth, file_now() + LOGIN_REQUEST_SECONDS,
		&device, err) == 0 &&
	    show_code(l, &device, err) == 0) {
		result = wait_for_person(l, &device, err);
		show_waited();
	}
	oauth_device_release(&device);
	return result == 0 ? login_keep(l, err) : -1;
}
