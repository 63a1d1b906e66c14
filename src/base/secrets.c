/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "secrets_table.h"

#define INVENTED "test-"

struct mp__secret_invented {
    struct mp__secret_invented *next;
    struct mp_str value; /* "test-" and the name */
};

bool mp__secret_name_is_valid(struct mp_str name)
{
    bool is_valid = name.length > 0 && name.length < MP_SECRET_NAME_BYTES;
    for (size_t i = 0; i < name.length && is_valid; i++) {
        int c = (unsigned char)name.data[i];
        is_valid = c < 0x80 && (isalnum(c) || c == '_' || c == '-');
    }
    return is_valid;
}

struct mp_secrets *mp__secrets_new(void)
{
    struct mp_secrets *secrets = calloc(1, sizeof(*secrets));
    if (!secrets || pthread_mutex_init(&secrets->mutex, NULL) != 0) {
        free(secrets);
        return NULL;
    }
    atomic_init(&secrets->references, 1);
    return secrets;
}

static int make_room(struct mp_secrets *secrets)
{
    if (secrets->count < secrets->capacity) {
        return MP_OK;
    }
    size_t capacity = secrets->capacity ? secrets->capacity * 2 : 16;
    struct mp__secret_entry *more =
        realloc(secrets->entries, capacity * sizeof(*secrets->entries));
    if (!more) {
        return MP_ENOMEM;
    }
    secrets->entries = more;
    secrets->capacity = capacity;
    return MP_OK;
}

int mp__secrets_add(struct mp_secrets *secrets, struct mp_str name, struct mp_str value,
                    bool is_variable)
{
    char *bytes = malloc(2 * name.length + value.length + 1);
    if (!bytes || make_room(secrets) != MP_OK) {
        free(bytes);
        return MP_ENOMEM;
    }
    char *shown = bytes + name.length;
    char *kept = shown + name.length;
    for (size_t i = 0; i < name.length; i++) {
        bytes[i] = name.data[i];
        shown[i] =
            is_variable ? (char)tolower((unsigned char)name.data[i]) : name.data[i];
    }
    if (value.length > 0) {
        memcpy(kept, value.data, value.length);
    }
    secrets->entries[secrets->count++] =
        (struct mp__secret_entry){.name = {bytes, name.length},
                                  .shown = {shown, name.length},
                                  .value = {kept, value.length},
                                  .is_variable = is_variable};
    return MP_OK;
}

static int order_of(bool is_variable, struct mp_str name,
                    const struct mp__secret_entry *other)
{
    if (is_variable != other->is_variable) {
        return is_variable ? 1 : -1;
    }
    size_t shorter = name.length < other->name.length ? name.length : other->name.length;
    int order = memcmp(name.data, other->name.data, shorter);
    return order ? order : (name.length > shorter) - (other->name.length > shorter);
}

static int by_name(const void *a, const void *b)
{
    const struct mp__secret_entry *entry = a;
    return order_of(entry->is_variable, entry->name, b);
}

int mp__secrets_finish(struct mp_secrets *secrets)
{
    if (secrets->count > 1) {
        qsort(secrets->entries, secrets->count, sizeof(*secrets->entries), by_name);
    }
    return mp__hider_new(secrets, &secrets->hider);
}

int mp_secrets_of(const struct mp_secret_value *values, size_t count, bool invents,
                  struct mp_secrets **out)
{
    struct mp_secrets *secrets = mp__secrets_new();
    if (!secrets) {
        return MP_ENOMEM;
    }
    secrets->is_given = true;
    secrets->invents = invents;
    int status = MP_OK;
    for (size_t i = 0; i < count && status == MP_OK; i++) {
        status = mp__secrets_add(secrets, values[i].name, values[i].value, false);
    }
    if (status == MP_OK) {
        status = mp__secrets_finish(secrets);
    }
    if (status != MP_OK) {
        mp_secrets_unref(secrets);
        return status;
    }
    *out = secrets;
    return MP_OK;
}

struct mp_secrets *mp_secrets_ref(struct mp_secrets *secrets)
{
    atomic_fetch_add(&secrets->references, 1);
    return secrets;
}

void mp_secrets_unref(struct mp_secrets *secrets)
{
    if (!secrets || atomic_fetch_sub(&secrets->references, 1) > 1) {
        return;
    }
    mp__hider_free(secrets->hider);
    for (size_t i = 0; i < secrets->count; i++) {
        struct mp__secret_entry *entry = &secrets->entries[i];
        explicit_bzero((char *)entry->value.data, entry->value.length);
        free((char *)entry->name.data);
    }
    while (secrets->invented) {
        struct mp__secret_invented *next = secrets->invented->next;
        free(secrets->invented);
        secrets->invented = next;
    }
    pthread_mutex_destroy(&secrets->mutex);
    free(secrets->entries);
    free(secrets->folder);
    free(secrets);
}

static const struct mp__secret_entry *find(const struct mp_secrets *secrets,
                                           struct mp_str name, bool is_variable)
{
    size_t low = 0, high = secrets->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = order_of(is_variable, name, &secrets->entries[middle]);
        if (order == 0) {
            return &secrets->entries[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

/* A valid name, as a variable of the environment ends in it. */
static struct mp_str variable_of(struct mp_str name, char variable[MP_SECRET_NAME_BYTES])
{
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        variable[i] = (char)(c == '-' ? '_' : toupper((unsigned char)c));
    }
    variable[name.length] = '\0';
    return (struct mp_str){variable, name.length};
}

/* Changes nothing that anybody has seen; two threads may ask for the same. */
static int invent(struct mp_secrets *secrets, struct mp_str name, struct mp_str *value)
{
    size_t before = strlen(INVENTED);
    int status = MP_OK;
    pthread_mutex_lock(&secrets->mutex);
    struct mp__secret_invented *at = secrets->invented;
    while (at && !mp_str_equal(
                     (struct mp_str){at->value.data + before, at->value.length - before},
                     name)) {
        at = at->next;
    }
    if (!at && (at = malloc(sizeof(*at) + before + name.length)) != NULL) {
        char *bytes = (char *)(at + 1);
        memcpy(bytes, INVENTED, before);
        memcpy(bytes + before, name.data, name.length);
        *at = (struct mp__secret_invented){secrets->invented,
                                           {bytes, before + name.length}};
        secrets->invented = at;
    }
    if (at) {
        *value = at->value;
    } else {
        status = MP_ENOMEM;
    }
    pthread_mutex_unlock(&secrets->mutex);
    return status;
}

static int not_there(const struct mp_secrets *secrets, struct mp_str name,
                     const char *variable, struct mp_error *err)
{
    int length = (int)name.length;
    if (secrets->is_given) {
        return mp_error_set(err, MP_ENOTFOUND, "there is no secret \"%.*s\"", length,
                            name.data);
    }
    if (!secrets->folder) {
        return mp_error_set(err, MP_ENOTFOUND,
                            "there is no secret \"%.*s\": set " MP__SECRET_VARIABLE
                            "%s in the environment",
                            length, name.data, variable);
    }
    return mp_error_set(err, MP_ENOTFOUND,
                        "there is no secret \"%.*s\": put it into %s/%.*s, or "
                        "set " MP__SECRET_VARIABLE "%s in the environment",
                        length, name.data, secrets->folder, length, name.data, variable);
}

static int is_empty(const struct mp_secrets *secrets,
                    const struct mp__secret_entry *entry, struct mp_error *err)
{
    bool is_file = secrets->folder && !entry->is_variable;
    return mp_error_set(
        err, MP_ENOTFOUND, "the secret \"%.*s\" is empty: look at %s%s%.*s",
        (int)entry->shown.length, entry->shown.data, is_file ? secrets->folder : "",
        is_file              ? "/"
        : entry->is_variable ? MP__SECRET_VARIABLE
                             : "",
        (int)entry->name.length, entry->name.data);
}

int mp_secrets_find(const struct mp_secrets *secrets, struct mp_str name,
                    struct mp_str *value, struct mp_error *err)
{
    char variable[MP_SECRET_NAME_BYTES];
    if (!mp__secret_name_is_valid(name)) {
        return mp_error_set(err, MP_EINVAL,
                            "a secret's name has letters, digits, _ and -, 1 to %d of "
                            "them",
                            MP_SECRET_NAME_BYTES - 1);
    }
    const struct mp__secret_entry *entry = find(secrets, name, false);
    if (!entry) {
        entry = find(secrets, variable_of(name, variable), true);
    }
    if (entry && entry->value.length == 0) {
        return is_empty(secrets, entry, err);
    }
    if (entry) {
        *value = entry->value;
        return MP_OK;
    }
    if (secrets->invents) {
        return invent((struct mp_secrets *)secrets, name, value);
    }
    return not_there(secrets, name, variable, err);
}

bool mp_secrets_agree(const struct mp_secrets *a, const struct mp_secrets *b,
                      struct mp_str name)
{
    struct mp_str one = {0}, two = {0};
    int status = mp_secrets_find(a, name, &one, NULL);
    return mp_secrets_find(b, name, &two, NULL) == status && mp_str_equal(one, two);
}

bool mp_secrets_equal(const struct mp_secrets *a, const struct mp_secrets *b)
{
    bool are_equal = a->count == b->count;
    for (size_t i = 0; are_equal && i < a->count; i++) {
        const struct mp__secret_entry *one = &a->entries[i], *two = &b->entries[i];
        are_equal = by_name(one, two) == 0 && mp_str_equal(one->value, two->value);
    }
    return are_equal;
}
