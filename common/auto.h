/*
 * Cleanup that belongs to a local variable (a gcc and clang attribute).
 *
 * HV_DEFINE_AUTO(type, fn) beside the declaration of fn makes `HV_AUTO(fn) type *x = NULL;` possible: fn(x) then runs on every
 * way out of the scope, last declared first. fn has to accept NULL. HV_TAKE(x) hands the object over and leaves NULL behind.
 */
#ifndef HV_COMMON_AUTO_H
#define HV_COMMON_AUTO_H

#define HV_AUTO(fn) __attribute__((cleanup(fn##_at_scope_end)))

/* For objects held by pointer. */
#define HV_DEFINE_AUTO(type, fn) \
    static inline void fn##_at_scope_end(type **at) { fn(*at); } \
    _Static_assert(1, "makes the semicolon after the macro necessary")

/* For objects that are the variable itself. */
#define HV_DEFINE_AUTO_VALUE(type, fn) \
    static inline void fn##_at_scope_end(type *at) { fn(at); } \
    _Static_assert(1, "makes the semicolon after the macro necessary")

#define HV_TAKE(x) \
    __extension__({ \
        __typeof__(x) taken_ = (x); \
        (x) = NULL; \
        taken_; \
    })

#endif
