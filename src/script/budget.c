/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "state.h"

/* The watchdog: one thread that looks at every thread under a call each TICK_MS, and
 * sleeps when there has been none for a while. A call begins with one atomic store and
 * one load; no clock is read by it. A thousand instructions may be seconds when each
 * compares megabytes: so the thread whose call is spent gets a signal besides, and makes
 * its own hook fire at the next one. */

#define TICK_MS 5
#define TICKS_AWAKE                                                                      \
    40 /* it stays awake so long after the last call: waking costs a call */
#define NS_PER_MS    INT64_C(1000000)
#define SPENT_SIGNAL SIGURG /* ignored where nobody waits for it */

/* A thread's place with the watchdog. */
struct mp__slot {
    struct mp__slot *next, **link;
    _Atomic uint64_t armed; /* the number of the call under way; 0: none */
    _Atomic int clock;      /* the thread's CPU clock */
    _Atomic uint64_t spent; /* the number of the call that has overrun */
    lua_State *_Atomic lua; /* what runs it, while its hook may be set */
    pthread_t thread;
    uint64_t seen; /* the watchdog's own: the call it times, and since when */
    int64_t since_ns;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static struct mp__slot *slots;
static pthread_t watchdog;
static unsigned users;
static bool is_stopping;
static _Atomic bool is_awake = true; /* so that nobody wakes it while there is none */
static _Atomic uint64_t calls;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t slot_key;
static int key_error;
static _Thread_local struct mp__slot *here;
static struct sigaction signal_before;

static void on_thread_end(void *arg)
{
    struct mp__slot *slot = arg;
    here = NULL;
    pthread_mutex_lock(&lock);
    *slot->link = slot->next;
    if (slot->next) {
        slot->next->link = slot->link;
    }
    pthread_mutex_unlock(&lock);
    free(slot);
}

static void make_key(void)
{
    key_error = pthread_key_create(&slot_key, on_thread_end);
}

/* Delivery threads block all signals. */
static void let_signal_in(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SPENT_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* In the middle of whatever the thread does, so it only repeats what mp__budget_begin
 * did, with a smaller number. */
static void on_spent(int number)
{
    (void)number;
    struct mp__slot *slot = here;
    lua_State *lua = slot ? atomic_load_explicit(&slot->lua, memory_order_relaxed) : NULL;
    if (lua && atomic_load(&slot->armed) == atomic_load(&slot->spent)) {
        lua_sethook(lua, mp__budget_hook, LUA_MASKCOUNT, 1);
    }
}

static struct mp__slot *thread_slot(void)
{
    if (here) {
        return here;
    }
    pthread_once(&once, make_key);
    if (key_error != 0) {
        return NULL;
    }
    struct mp__slot *slot = calloc(1, sizeof(*slot));
    clockid_t clock;
    if (!slot || pthread_getcpuclockid(pthread_self(), &clock) != 0 ||
        pthread_setspecific(slot_key, slot) != 0) {
        free(slot);
        return NULL;
    }
    atomic_store(&slot->clock, clock);
    slot->thread = pthread_self();
    let_signal_in();
    here = slot;
    pthread_mutex_lock(&lock);
    slot->next = slots;
    slot->link = &slots;
    if (slots) {
        slots->link = &slot->next;
    }
    slots = slot;
    pthread_mutex_unlock(&lock);
    return slot;
}

int mp__budget_begin(struct mp_script_state *state)
{
    state->slot = thread_slot();
    if (!state->slot) {
        return MP_ENOMEM;
    }
    uint64_t number = atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) + 1;
    state->call = state->turn ? state->turn : number;
    lua_sethook(state->lua, mp__budget_hook, LUA_MASKCOUNT, MP__HOOK_COUNT);
    /* Not while the state is still made: turning the JIT off must not be interrupted. */
    lua_State *lua = state->kept[MP__KEPT_ENTRY] ? state->lua : NULL;
    atomic_store_explicit(&state->slot->lua, lua, memory_order_relaxed);
    /* With the watchdog's own store and load the other way round, one of the two sees the
     * other: hence the sequential order. */
    atomic_store(&state->slot->armed, state->call);
    if (!atomic_load(&is_awake)) {
        pthread_mutex_lock(&lock);
        atomic_store(&is_awake, true);
        pthread_cond_signal(&wake);
        pthread_mutex_unlock(&lock);
    }
    return MP_OK;
}

void mp__budget_end(struct mp_script_state *state)
{
    atomic_store_explicit(&state->slot->lua, NULL, memory_order_relaxed);
    atomic_store_explicit(&state->slot->armed, 0, memory_order_release);
    state->slot = NULL;
}

void mp_script_turn_begin(struct mp_script_state *state)
{
    if (state) {
        state->turn = atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) + 1;
    }
}

void mp_script_turn_end(struct mp_script_state *state)
{
    if (state) {
        state->turn = 0;
    }
}

bool mp__budget_is_spent(const struct mp_script_state *state)
{
    return state->slot &&
           atomic_load_explicit(&state->slot->spent, memory_order_relaxed) == state->call;
}

void mp__budget_check(struct mp_script_state *state)
{
    if (mp__budget_is_spent(state)) {
        mp__note_line(state);
        luaL_error(state->lua, "the call overran its budget");
    }
}

/* Once spent it fires at each instruction, so that no handler outlives it. */
void mp__budget_hook(lua_State *lua, lua_Debug *debug)
{
    (void)debug;
    struct mp_script_state *state = mp__state_of(lua);
    if (state->heap_refused || mp__budget_is_spent(state)) {
        mp__note_line(state);
        lua_sethook(lua, mp__budget_hook, LUA_MASKCOUNT, 1);
        luaL_error(lua, "the call overran its budget");
    }
}

static int64_t cpu_ns(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now) != 0) {
        return -1;
    }
    return (int64_t)now.tv_sec * 1000 * NS_PER_MS + now.tv_nsec;
}

/* True when a call is or was under way since the last look. */
static bool look(struct mp__slot *slot)
{
    uint64_t armed = atomic_load(&slot->armed);
    if (armed == 0) {
        return false;
    }
    int64_t now_ns = cpu_ns(atomic_load(&slot->clock));
    if (armed != slot->seen) {
        slot->seen = armed;
        slot->since_ns = now_ns;
    } else if (now_ns >= 0 && now_ns - slot->since_ns >= MP__BUDGET_MS * NS_PER_MS) {
        atomic_store(&slot->spent, armed);
        pthread_kill(slot->thread, SPENT_SIGNAL);
    }
    return true;
}

static bool look_at_all(void)
{
    bool any = false;
    for (struct mp__slot *slot = slots; slot; slot = slot->next) {
        any = look(slot) || any;
    }
    return any;
}

static void tick(void)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TICK_MS * NS_PER_MS;
    if (until.tv_nsec >= 1000 * NS_PER_MS) {
        until.tv_sec++;
        until.tv_nsec -= 1000 * NS_PER_MS;
    }
    pthread_cond_clockwait(&wake, &lock, CLOCK_MONOTONIC, &until);
}

static void *watch(void *arg)
{
    (void)arg;
    unsigned quiet = 0;
    pthread_mutex_lock(&lock);
    uint64_t before = 0;
    while (!is_stopping) {
        tick();
        uint64_t now = atomic_load_explicit(&calls, memory_order_relaxed);
        bool any = look_at_all();
        quiet = any || now != before ? 0 : quiet + 1;
        before = now;
        if (quiet < TICKS_AWAKE) {
            continue;
        }
        quiet = 0;
        atomic_store(&is_awake, false);
        while (!look_at_all() && !is_stopping && !atomic_load(&is_awake)) {
            pthread_cond_wait(&wake, &lock);
        }
        atomic_store(&is_awake, true);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

int mp_script_watchdog_start(void)
{
    int status = MP_OK;
    pthread_mutex_lock(&lock);
    if (users == 0) {
        struct sigaction action = {.sa_handler = on_spent, .sa_flags = SA_RESTART};
        sigaction(SPENT_SIGNAL, &action, &signal_before);
        is_stopping = false;
        atomic_store(&is_awake, true);
        status = pthread_create(&watchdog, NULL, watch, NULL) == 0 ? MP_OK : MP_EAGAIN;
    }
    users += status == MP_OK;
    pthread_mutex_unlock(&lock);
    return status;
}

void mp_script_watchdog_stop(void)
{
    pthread_mutex_lock(&lock);
    bool is_last = users > 0 && --users == 0;
    is_stopping = is_last;
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&lock);
    if (is_last) {
        pthread_join(watchdog, NULL);
        sigaction(SPENT_SIGNAL, &signal_before, NULL);
    }
}
