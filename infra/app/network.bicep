// A network of the app's own, from which alone storage and the vault are reached. The app itself stays public: Microsoft
// Graph calls its webhooks.

param name string
param location string
param tags { *: string }

param storageSuffix string
param vaultSuffix string

@description('What gets an endpoint: a service of the storage account, or the vault, of the name `target`')
param endpoints { name: string, target: string, groupId: 'blob' | 'queue' | 'table' | 'vault' }[]

// The vault's domain begins with a dot, and the zone of its endpoints has a word of its own: privatelink.vaultcore.azure.net
// in the public cloud. learn.microsoft.com/azure/private-link/private-endpoint-dns
var vaultZone = 'privatelink${replace(vaultSuffix, '.vault.', '.vaultcore.')}'
var zoneNames = {
  blob: 'privatelink.blob.${storageSuffix}'
  queue: 'privatelink.queue.${storageSuffix}'
  table: 'privatelink.table.${storageSuffix}'
  vault: vaultZone
}

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: ['10.0.0.0/16'] }
    subnets: [
      {
        name: 'endpoints'
        properties: { addressPrefix: '10.0.0.0/24', privateEndpointNetworkPolicies: 'Disabled' }
      }
      {
        name: 'app'
        properties: {
          addressPrefix: '10.0.1.0/24'
          // Flex Consumption runs on Container Apps: Microsoft.Web/serverFarms is right for the other plans and wrong here.
          // learn.microsoft.com/azure/azure-functions/flex-consumption-how-to#enable-virtual-network-integration
          delegations: [{ name: 'app', properties: { serviceName: 'Microsoft.App/environments' } }]
        }
      }
    ]
  }

  resource endpointSubnet 'subnets' existing = {
    name: 'endpoints'
  }

  resource appSubnet 'subnets' existing = {
    name: 'app'
  }
}

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for one in items(zoneNames): {
    name: one.value
    location: 'global'
    tags: tags
  }
]

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (one, number) in items(zoneNames): {
    parent: zone[number]
    name: name
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: network.id }
    }
  }
]

// One after the other: the network takes one change at a time.
@batchSize(1)
resource endpoint 'Microsoft.Network/privateEndpoints@2024-05-01' = [
  for one in endpoints: {
    name: one.name
    location: location
    tags: tags
    properties: {
      subnet: { id: network::endpointSubnet.id }
      privateLinkServiceConnections: [
        {
          name: one.name
          properties: {
            privateLinkServiceId: one.groupId == 'vault'
              ? resourceId('Microsoft.KeyVault/vaults', one.target)
              : resourceId('Microsoft.Storage/storageAccounts', one.target)
            groupIds: [one.groupId]
          }
        }
      ]
    }
  }
]

resource zoneGroup 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = [
  for (one, number) in endpoints: {
    parent: endpoint[number]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: one.groupId
          properties: { privateDnsZoneId: resourceId('Microsoft.Network/privateDnsZones', zoneNames[one.groupId]) }
        }
      ]
    }
    dependsOn: [zone, link]
  }
]

output appSubnetId string = network::appSubnet.id
