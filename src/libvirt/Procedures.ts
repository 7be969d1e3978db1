// placeholder types until the table lands
export type ProcedureName = string
export type Args<_P> = unknown
export type Reply<_P> = unknown
export type UploadProcedure = string
