/*
 * Growing arrays of plain elements.
 */
#ifndef HV_COMMON_ARRAY_H
#define HV_COMMON_ARRAY_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * Room for one more element. `array` points to the pointer to the elements (malloc memory or NULL), which may move; `room` is how
 * many fit and at least doubles. False if there is no memory: nothing has changed then.
 */
static inline bool
hv_array_room(void *array, size_t count, size_t *room, size_t element)
{
    void *elements;

    if (count < *room)
        return true;
    size_t wanted = *room == 0 ? 4 : *room * 2;
    memcpy(&elements, array, sizeof elements);          /* whatever its element type: pointers to objects look alike here */
    elements = realloc(elements, wanted * element);
    if (elements == NULL)
        return false;
    memcpy(array, &elements, sizeof elements);
    *room = wanted;
    return true;
}

#endif
