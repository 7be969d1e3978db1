/**
 * The layers that make vmfabric's ports real, and their doubles for tests.
 *
 * @since 0.1.0
 */
export * as AppLive from "./AppLive.ts"
export * as AppTest from "./AppTest.ts"
export * as CephLive from "./CephLive.ts"
export * as Database from "./Database.ts"
export * as HostMonitorLive from "./HostMonitorLive.ts"
export * as HypervisorLive from "./HypervisorLive.ts"
export * as HypervisorTest from "./HypervisorTest.ts"
export * as ImageLibraryLive from "./ImageLibraryLive.ts"
export * as ImageLibraryTest from "./ImageLibraryTest.ts"
export * as InventoryLive from "./InventoryLive.ts"
export * as InventoryTest from "./InventoryTest.ts"
export * as JournalLive from "./JournalLive.ts"
export * as LibvirtLive from "./LibvirtLive.ts"
export * as ObserverLive from "./ObserverLive.ts"
export * as OperationsLive from "./OperationsLive.ts"
export * as SchedulerLive from "./SchedulerLive.ts"
export * as SchedulerTest from "./SchedulerTest.ts"
export * as SimulatedFleet from "./SimulatedFleet.ts"
export * as SshDialerTcp from "./SshDialerTcp.ts"
export * as SshLive from "./SshLive.ts"
export * as StorageLive from "./StorageLive.ts"
export * as StorageTest from "./StorageTest.ts"
