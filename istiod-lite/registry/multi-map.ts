/**
 * Maps from a key to a set of values that never keep an empty set: the shape of every index here.
 */

export function addToSet<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, new Set([value]));
  else values.add(value);
}

export function deleteFromSet<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const values = map.get(key);
  if (values === undefined || !values.delete(value)) return;
  if (values.size === 0) map.delete(key);
}
