#include "smtp/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "smtp/wait.h"

char *
dial_text(const struct dial_address *a, char out[DIAL_TEXT_SIZE])
{
	const void *bytes = NULL;

	out[0] = '\0';
	if (a->address.ss_family == AF_INET)
		bytes = &((const struct sockaddr_in *)&a->address)->sin_addr;
	else if (a->address.ss_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)&a->address)->sin6_addr;
	if (bytes != NULL)
		(void)inet_ntop(
		    a->address.ss_family, bytes, out, DIAL_TEXT_SIZE);
	return out;
}

void
dial_order(struct dial_address *addresses, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		sa_family_t last = addresses[i - 1].address.ss_family;
		struct dial_address found;
		size_t at = i;

		while (at < count && addresses[at].address.ss_family == last)
			at++;
		if (at == count)
			return;
		found = addresses[at];
		memmove(
		    &addresses[i + 1], &addresses[i], (at - i) * sizeof(found));
		addresses[i] = found;
	}
}

/* A lookup under way. It belongs to the thread that does it and to who waits
 * for it; the last to leave frees it. */
struct lookup {
	pthread_mutex_t mutex;
	int users;
	int done_fd; /* an eventfd, readable at the end */
	char *host;
	char port[8];
	int result; /* of getaddrinfo() */
	struct addrinfo *found;
};

static struct lookup *
lookup_new(const char *host, unsigned port)
{
	struct lookup *l = xcalloc(1, sizeof(*l));

	pthread_mutex_init(&l->mutex, NULL);
	l->users = 1;
	l->done_fd = -1;
	l->host = xstrdup(host);
	snprintf(l->port, sizeof(l->port), "%u", port);
	return l;
}

static void
lookup_leave(struct lookup *l)
{
	int users;

	pthread_mutex_lock(&l->mutex);
	users = --l->users;
	pthread_mutex_unlock(&l->mutex);
	if (users > 0)
		return;
	if (l->found != NULL)
		freeaddrinfo(l->found);
	if (l->done_fd != -1)
		close(l->done_fd);
	pthread_mutex_destroy(&l->mutex);
	free(l->host);
	free(l);
}

static void
lookup_ask(struct lookup *l, int flags)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | flags,
	};

	l->result = getaddrinfo(l->host, l->port, &hints, &l->found);
}

static void *
lookup_thread(void *argument)
{
	struct lookup *l = argument;

	lookup_ask(l, 0);
	(void)eventfd_write(l->done_fd, 1);
	lookup_leave(l);
	return NULL;
}

/* -1 when there can be no thread. Signals stay with the threads there are. */
static int
lookup_start(struct lookup *l)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int result;

	l->done_fd = eventfd(0, EFD_CLOEXEC);
	if (l->done_fd == -1)
		return -1;
	l->users = 2;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	result = pthread_create(&thread, &attr, lookup_thread, l);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result == 0)
		return 0;
	l->users = 1;
	return -1;
}

static int
lookup_wait(struct lookup *l, double deadline, const struct waiter *waiter)
{
	struct pollfd fd = { .fd = l->done_fd, .events = POLLIN };

	return wait_poll(waiter, &fd, 1, deadline) == 1 ? 0 : -1;
}

static size_t
copy_addresses(const struct addrinfo *found, struct dial_address *out)
{
	size_t count = 0;

	for (; found != NULL && count < DIAL_ADDRESSES_MAX;
	     found = found->ai_next) {
		if (found->ai_addrlen > sizeof(out->address))
			continue;
		memcpy(&out[count].address, found->ai_addr, found->ai_addrlen);
		out[count++].len = found->ai_addrlen;
	}
	return count;
}

static int
fail_lookup(const char *host, const char *why, struct error *err)
{
	error_set(
	    err, EX_TEMPFAIL, "4.4.3", "cannot look up '%s': %s", host, why);
	return error_hint(err,
	    "check 'host' in outpost.conf and this machine's name service "
	    "(/etc/resolv.conf)");
}

int
dial_look_up(const char *host, unsigned port, double deadline,
    const struct waiter *waiter, struct dial_address out[DIAL_ADDRESSES_MAX],
    size_t *count, struct error *err)
{
	struct lookup *l = lookup_new(host, port);
	int result = -1;

	lookup_ask(l, AI_NUMERICHOST);
	if (l->result == EAI_NONAME) {
		if (lookup_start(l) == -1)
			lookup_ask(l, 0);
		else if (lookup_wait(l, deadline, waiter) == -1) {
			fail_lookup(host, "no answer in time", err);
			goto out;
		}
	}
	if (l->result != 0) {
		fail_lookup(host, gai_strerror(l->result), err);
		goto out;
	}
	*count = copy_addresses(l->found, out);
	result = *count > 0 ? 0 : fail_lookup(host, "no address", err);
out:
	lookup_leave(l);
	return result;
}

/* Attempts under way. */
struct race {
	struct pollfd fds[DIAL_ADDRESSES_MAX];
	size_t running;
	int why; /* errno of the last failure */
};

/* A socket that connects, added to the race. */
static void
race_start(struct race *race, const struct dial_address *to)
{
	int on = 1;
	int fd = socket(to->address.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1) {
		race->why = errno;
		return;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/* An interrupted connect goes on, like one in progress. */
	if (connect(fd, (const struct sockaddr *)&to->address, to->len) == -1 &&
	    errno != EINPROGRESS && errno != EINTR) {
		race->why = errno;
		close(fd);
		return;
	}
	race->fds[race->running++] =
	    (struct pollfd){ .fd = fd, .events = POLLOUT };
}

/* Drops the attempts that failed; the descriptor of one that succeeded, or
 * -1. */
static int
race_winner(struct race *race)
{
	size_t i = 0;

	while (i < race->running) {
		int fd = race->fds[i].fd;
		int why = 0;
		socklen_t len = sizeof(why);

		if (race->fds[i].revents == 0) {
			i++;
			continue;
		}
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) == -1)
			why = errno;
		race->fds[i] = race->fds[--race->running];
		if (why == 0)
			return fd;
		race->why = why;
		close(fd);
	}
	return -1;
}

static int
fail_connect(const char *name, int why, struct error *err)
{
	error_set(err, EX_TEMPFAIL, "4.4.1", "cannot connect to %s: %s", name,
	    why != 0 ? strerror(why) : "no answer in time");
	return error_hint(err,
	    "check the network, 'host' and 'port' in outpost.conf, and that "
	    "the firewall lets TCP connections to that port out");
}

int
dial_addresses(const struct dial_address *addresses, size_t count,
    const char *name, double deadline, const struct waiter *waiter,
    struct error *err)
{
	struct race race = { .running = 0 };
	double next_start = 0;
	size_t next = 0;
	int winner = -1;
	bool late = false;

	if (count > DIAL_ADDRESSES_MAX)
		count = DIAL_ADDRESSES_MAX;
	while (winner == -1 && !late) {
		double now = file_now();
		double until = deadline;
		int ready;

		if (next < count && (race.running == 0 || now >= next_start)) {
			race_start(&race, &addresses[next++]);
			next_start = now + DIAL_STAGGER;
		}
		if (race.running == 0 && next == count)
			break;
		if (race.running == 0)
			continue;
		if (next < count && next_start < until)
			until = next_start;
		ready = wait_poll(waiter, race.fds, race.running, until);
		if (ready > 0)
			winner = race_winner(&race);
		else
			late = ready == -1 || file_now() >= deadline;
	}
	for (size_t i = 0; i < race.running; i++)
		close(race.fds[i].fd);
	if (winner == -1)
		return fail_connect(name, late ? 0 : race.why, err);
	return winner;
}

int
dial_host(const char *host, unsigned port, double deadline,
    const struct waiter *waiter, struct error *err)
{
	struct dial_address addresses[DIAL_ADDRESSES_MAX];
	char name[300];
	size_t count;

	if (dial_look_up(
		host, port, deadline, waiter, addresses, &count, err) == -1)
		return -1;
	dial_order(addresses, count);
	snprintf(name, sizeof(name), "'%s' port %u", host, port);
	return dial_addresses(addresses, count, name, deadline, waiter, err);
}
