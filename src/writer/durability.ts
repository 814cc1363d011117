/** What an ack waits for: 'fsync' a sync of its bytes, 'os' that the kernel has them, 'memory' nothing. */
export type Durability = 'fsync' | 'os' | 'memory'
