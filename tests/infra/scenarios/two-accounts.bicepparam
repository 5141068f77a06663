// People and settings in an account of their own, more copies of it, and instances that never go away.
using '../../../infra/main.bicep'

param environmentName = 'test'
param location = 'westeurope'
param cloud = {
  name: 'AzureCloud'
  storageSuffix: 'core.windows.net'
  vaultSuffix: '.vault.azure.net'
  loginUrl: 'https://login.microsoftonline.com/'
}
param separateDataAccount = true
param storageRedundancy = 'Standard_ZRS'
param alwaysReadyHttp = 1
param alwaysReadyRuns = 2
param maximumInstanceCount = 20
param instanceMemoryMB = 4096
param pythonVersion = '3.12'
