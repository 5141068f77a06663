// Storage and vault from a network of the app's own only, with both accounts.
using '../../../infra/main.bicep'

param environmentName = 'test'
param location = 'westeurope'
param cloud = {
  name: 'AzureCloud'
  storageSuffix: 'core.windows.net'
  vaultSuffix: '.vault.azure.net'
  loginUrl: 'https://login.microsoftonline.com/'
}
param privateNetworking = true
param separateDataAccount = true
