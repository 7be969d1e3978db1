import * as InventoryTest from "../../layers/InventoryTest.ts"
import { inventoryContract } from "../contracts/InventoryContract.ts"
import { inventoryVolumesContract } from "../contracts/InventoryVolumesContract.ts"
import { journalContract } from "../contracts/JournalContract.ts"
import { layerTemporary } from "./Fleet.ts"

inventoryContract("a file", layerTemporary)
inventoryContract("InventoryTest", InventoryTest.layer)
inventoryVolumesContract("a file", layerTemporary)
inventoryVolumesContract("InventoryTest", InventoryTest.layer)
journalContract("a file", layerTemporary)
journalContract("InventoryTest", InventoryTest.layer)
